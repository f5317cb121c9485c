/* V4L2 devices that exist for one process: preloaded, it answers what a driver would.
 *
 * $FAKE_V4L2_ROOT/dev stands in for what it has of /dev. Behind a node in it, ioctls are answered
 * from the description beside it:
 *
 *   $FAKE_V4L2_ROOT/drivers/video0
 *       card NAME | bus PLACE | caps HEX | busy | forbidden | range |
 *       mode FOURCC WIDTH HEIGHT FPS
 *   $FAKE_V4L2_ROOT/drivers/video0-FOURCC-WIDTHxHEIGHT
 *       the bytes of its image in that mode; where there are two, .0 and .1, in turn
 *
 * Everything above the system calls, OpenCV's V4L2 code included, runs as with a real camera. The
 * buffers lie in the node's own file, so that mmap needs no answer from us.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MODES 32
#define DEVICES 64
#define BUFFER_BYTES (4 << 20)
#define BUFFERS 4

struct mode { unsigned fourcc, width, height, fps; };

struct device {
    char name[32], card[32], bus[32];
    unsigned caps;
    int busy, forbidden, range, mode_count, used;
    struct mode modes[MODES], now;
    unsigned queued[BUFFERS], queued_count, sequence;
    long long due_ns;
};

static struct device devices[DEVICES]; /* by descriptor */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *redirect(const char *path, char *place, size_t size) {
    struct stat ignored;
    const char *root = getenv("FAKE_V4L2_ROOT");
    if (!root || !path || strncmp(path, "/dev", 4) || (path[4] && path[4] != '/')) return path;
    snprintf(place, size, "%s%s", root, path);
    if (syscall(SYS_newfstatat, AT_FDCWD, place, &ignored, AT_SYMLINK_NOFOLLOW)) return path;
    return place;
}

#define HERE(path) char place[4096]; path = redirect(path, place, sizeof place)

/* ---- files */

static int close_real(int fd) {
    if (fd >= 0 && fd < DEVICES) devices[fd].used = 0;
    return syscall(SYS_close, fd);
}

static int opened(int fd, const char *path) {
    char real[4096], file[4200], line[256], fourcc[8], text[128];
    const char *root = getenv("FAKE_V4L2_ROOT");
    if (fd < 0 || fd >= DEVICES || !root || !realpath(path, real)) return fd;
    const char *name = strrchr(real, '/') + 1;
    memset(&devices[fd], 0, sizeof devices[fd]);
    if (strncmp(real, root, strlen(root)) || strncmp(name, "video", 5)) return fd;
    snprintf(file, sizeof file, "%s/drivers/%s", root, name);
    FILE *description = fopen(file, "r");
    if (!description) return fd;
    struct device *device = &devices[fd];
    device->used = 1;
    snprintf(device->name, sizeof device->name, "%s", name);
    while (fgets(line, sizeof line, description)) {
        struct mode *mode = &device->modes[device->mode_count];
        if (sscanf(line, "card %31[^\n]", text) == 1) strcpy(device->card, text);
        if (sscanf(line, "bus %31[^\n]", text) == 1) strcpy(device->bus, text);
        if (!strncmp(line, "busy", 4)) device->busy = 1;
        if (!strncmp(line, "forbidden", 9)) device->forbidden = 1;
        if (!strncmp(line, "range", 5)) device->range = 1;
        sscanf(line, "caps %x", &device->caps);
        if (sscanf(line, "mode %4c %u %u %u", fourcc, &mode->width, &mode->height, &mode->fps) == 4) {
            mode->fourcc = v4l2_fourcc(fourcc[0], fourcc[1], fourcc[2], fourcc[3]);
            device->mode_count++;
        }
    }
    fclose(description);
    device->now = device->modes[0];
    if (device->forbidden) return close_real(fd), errno = EACCES, -1;
    (void)!ftruncate(fd, (off_t)BUFFERS * BUFFER_BYTES);
    return fd;
}

#define OPEN(name)                                                    \
    int name(const char *path, int flags, ...) {                      \
        va_list rest; va_start(rest, flags);                          \
        mode_t mode = va_arg(rest, mode_t); va_end(rest);             \
        HERE(path);                                                   \
        int fd = syscall(SYS_openat, AT_FDCWD, path, flags, mode);    \
        return path == place ? opened(fd, path) : fd;                 \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                  \
    int name(int folder, const char *path, int flags, ...) {          \
        va_list rest; va_start(rest, flags);                          \
        mode_t mode = va_arg(rest, mode_t); va_end(rest);             \
        HERE(path);                                                   \
        int fd = syscall(SYS_openat, folder, path, flags, mode);      \
        return path == place ? opened(fd, path) : fd;                 \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) { return close_real(fd); }

#define STAT(name, type) \
    int name(const char *path, struct type *found) { HERE(path); return REAL(name)(path, found); }
STAT(stat, stat)
STAT(stat64, stat64)
STAT(lstat, stat)
STAT(lstat64, stat64)

int fstatat(int folder, const char *path, struct stat *found, int flags) {
    HERE(path);
    return REAL(fstatat)(folder, path, found, flags);
}
int fstatat64(int folder, const char *path, struct stat64 *found, int flags) {
    HERE(path);
    return REAL(fstatat64)(folder, path, found, flags);
}
/* What programs call that were built for older versions of the C library. */
#define XSTAT(name)                                                          \
    int name(int version, const char *path, void *found) {                   \
        HERE(path);                                                          \
        return ((int (*)(int, const char *, void *))dlsym(RTLD_NEXT, #name))(version, path, found); \
    }
XSTAT(__xstat)
XSTAT(__xstat64)
XSTAT(__lxstat)
XSTAT(__lxstat64)

int access(const char *path, int mode) { HERE(path); return REAL(access)(path, mode); }
int faccessat(int folder, const char *path, int mode, int flags) {
    HERE(path);
    return REAL(faccessat)(folder, path, mode, flags);
}
ssize_t readlink(const char *path, char *text, size_t size) {
    HERE(path);
    return REAL(readlink)(path, text, size);
}
DIR *opendir(const char *path) { HERE(path); return REAL(opendir)(path); }

/* ---- the driver */

static int image_of(struct device *device, char *file, size_t size) {
    unsigned c = device->now.fourcc;
    snprintf(file, size, "%s/drivers/%s-%c%c%c%c-%ux%u", getenv("FAKE_V4L2_ROOT"), device->name,
             c & 255, c >> 8 & 255, c >> 16 & 255, c >> 24 & 255, device->now.width,
             device->now.height);
    size_t end = strlen(file);
    snprintf(file + end, size - end, ".%u", device->sequence % 2);
    int noisy = syscall(SYS_openat, AT_FDCWD, file, O_RDONLY);
    if (noisy >= 0) return noisy;
    file[end] = 0;
    return syscall(SYS_openat, AT_FDCWD, file, O_RDONLY);
}

static void format_of(struct device *device, struct v4l2_format *format) {
    memset(&format->fmt, 0, sizeof format->fmt);
    format->fmt.pix.width = device->now.width;
    format->fmt.pix.height = device->now.height;
    format->fmt.pix.pixelformat = device->now.fourcc;
    format->fmt.pix.sizeimage = BUFFER_BYTES;
    format->fmt.pix.bytesperline = device->now.fourcc == V4L2_PIX_FMT_YUYV ? 2 * device->now.width : 0;
}

/* The nearest that is offered: first by format, then by size, as drivers do it. */
static void set_format(struct device *device, const struct v4l2_pix_format *asked) {
    struct mode *best = NULL;
    long least = -1;
    for (int i = 0; i < device->mode_count; i++) {
        struct mode *mode = &device->modes[i];
        long far = labs((long)mode->width - asked->width) + labs((long)mode->height - asked->height);
        if (mode->fourcc != asked->pixelformat) far += 1000000;
        if (least < 0 || far < least) best = mode, least = far;
    }
    if (best) device->now = *best;
}

/* The index of the answer that is number `index` among those that differ, or -1. */
static int nth(struct device *device, unsigned index, unsigned fourcc, unsigned width, unsigned height) {
    for (int i = 0, seen = 0; i < device->mode_count; i++) {
        struct mode *mode = &device->modes[i];
        if (fourcc && mode->fourcc != fourcc) continue;
        if (width && (mode->width != width || mode->height != height)) continue;
        int again = 0;
        for (int j = 0; j < i && !again && !width; j++)
            again = mode->fourcc == device->modes[j].fourcc &&
                    (!fourcc || (mode->width == device->modes[j].width &&
                                 mode->height == device->modes[j].height));
        if (!again && seen++ == (int)index) return i;
    }
    return -1;
}

static int fill(int fd, struct device *device, struct v4l2_buffer *buffer) {
    static char data[BUFFER_BYTES];
    struct timespec now;
    char file[4300];
    if (!device->queued_count) return errno = EAGAIN, -1;
    int image = image_of(device, file, sizeof file);
    if (image < 0) return errno = EIO, -1;
    ssize_t size = read(image, data, sizeof data);
    syscall(SYS_close, image);
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long now_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
    long long wait_ns = device->due_ns - now_ns;
    if (wait_ns > 0) usleep(wait_ns / 1000);
    device->due_ns = (wait_ns > 0 ? device->due_ns : now_ns) + 1000000000LL / device->now.fps;
    clock_gettime(CLOCK_MONOTONIC, &now);
    unsigned index = device->queued[0];
    memmove(device->queued, device->queued + 1, --device->queued_count * sizeof *device->queued);
    (void)!pwrite(fd, data, size, (off_t)index * BUFFER_BYTES);
    buffer->index = index;
    buffer->bytesused = size;
    buffer->length = BUFFER_BYTES;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->sequence = device->sequence++;
    buffer->timestamp.tv_sec = now.tv_sec;
    buffer->timestamp.tv_usec = now.tv_nsec / 1000;
    return 0;
}

static int answer(int fd, struct device *device, unsigned request, void *argument) {
    int at;
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *capability = argument;
        memset(capability, 0, sizeof *capability);
        memcpy(capability->driver, "uvcvideo", 9);
        memcpy(capability->card, device->card, sizeof device->card);
        memcpy(capability->bus_info, device->bus, sizeof device->bus);
        capability->device_caps = device->caps;
        capability->capabilities = device->caps | V4L2_CAP_DEVICE_CAPS | V4L2_CAP_META_CAPTURE;
        return 0;
    }
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *format = argument;
        if ((at = nth(device, format->index, 0, 0, 0)) < 0) break;
        format->pixelformat = device->modes[at].fourcc;
        return 0;
    }
    case VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *size = argument;
        if ((at = nth(device, size->index, size->pixel_format, 0, 0)) < 0) break;
        if (device->range) { /* from 32x32 up to the mode's size, in steps of 2 */
            size->type = V4L2_FRMSIZE_TYPE_STEPWISE;
            size->stepwise = (struct v4l2_frmsize_stepwise){
                32, device->modes[at].width, 2, 32, device->modes[at].height, 2};
            return 0;
        }
        size->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        size->discrete.width = device->modes[at].width;
        size->discrete.height = device->modes[at].height;
        return 0;
    }
    case VIDIOC_ENUM_FRAMEINTERVALS: {
        struct v4l2_frmivalenum *rate = argument;
        if (device->range) { /* from one a second up to the mode's rate */
            rate->type = V4L2_FRMIVAL_TYPE_CONTINUOUS;
            rate->stepwise = (struct v4l2_frmival_stepwise){
                {1, device->modes[0].fps}, {1, 1}, {1, 1}};
            return rate->index ? (errno = EINVAL, -1) : 0;
        }
        if ((at = nth(device, rate->index, rate->pixel_format, rate->width, rate->height)) < 0) break;
        rate->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        rate->discrete.numerator = 1;
        rate->discrete.denominator = device->modes[at].fps;
        return 0;
    }
    case VIDIOC_G_FMT: format_of(device, argument); return 0;
    case VIDIOC_S_FMT:
        if (device->busy) return errno = EBUSY, -1;
        set_format(device, &((struct v4l2_format *)argument)->fmt.pix);
        format_of(device, argument);
        return 0;
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_streamparm *parameters = argument;
        parameters->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        parameters->parm.capture.timeperframe.numerator = 1;
        parameters->parm.capture.timeperframe.denominator = device->now.fps;
        return 0;
    }
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *buffers = argument;
        if (buffers->count > BUFFERS) buffers->count = BUFFERS;
        device->queued_count = 0;
        return 0;
    }
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = argument;
        buffer->length = BUFFER_BYTES;
        buffer->m.offset = buffer->index * BUFFER_BYTES;
        return 0;
    }
    case VIDIOC_QBUF:
        if (device->queued_count == BUFFERS) break;
        device->queued[device->queued_count++] = ((struct v4l2_buffer *)argument)->index;
        return 0;
    case VIDIOC_DQBUF: return fill(fd, device, argument);
    case VIDIOC_G_INPUT: *(int *)argument = 0; return 0;
    case VIDIOC_S_INPUT: return 0;
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF: return 0;
    }
    return errno = EINVAL, -1;
}

int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (fd >= 0 && fd < DEVICES && devices[fd].used)
        return answer(fd, &devices[fd], (unsigned)request, argument);
    return syscall(SYS_ioctl, fd, request, argument);
}
