/* A CUDA driver without a GPU: device memory is host memory, a stream is a queue of one.
 *
 * What is enqueued on a stream that is being captured becomes a node of a graph instead of
 * running. Everything that is made is counted in `live`, so that a test sees what was not freed.
 * Functions that are not here do not exist, as with an older driver.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int CUresult;
enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, CAPTURE_BROKEN = 901 };
enum { MEMORY_BYTES = 1 << 30, MAX_NODES = 64 };

typedef void (*HostFunction)(void *);
typedef struct { int64_t ns; } Event;
typedef struct { HostFunction call; void *data; void *to; const void *from; size_t n; Event *event; } Node;
typedef struct { int count; Node nodes[MAX_NODES]; } Graph;
typedef struct { Graph *capturing; int broken; } Stream;

/* What is alive: memory, pinned memory, streams, events, graphs, executables, primary contexts
 * and entries of the context stack. */
enum { MEMORY, PINNED, STREAMS, EVENTS, GRAPHS, EXECUTABLES, PRIMARIES, STACK, KINDS };
static long live[KINDS], launches, used_bytes;
static int primary, capturable = 1;

long fake_live(int kind) { return live[kind]; }
long fake_launches(void) { return launches; }
void fake_capturable(int yes) { capturable = yes; }

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void run(const Node *node) {
    if (node->call) node->call(node->data);
    if (node->n) memcpy(node->to, node->from, node->n);
    if (node->event) node->event->ns = now_ns();
}

static CUresult enqueue(Stream *stream, Node node) {
    if (!live[STACK]) return INVALID_CONTEXT;
    if (!stream->capturing) { run(&node); return OK; }
    if (!capturable) { stream->broken = 1; return CAPTURE_BROKEN; }
    if (stream->capturing->count == MAX_NODES) return INVALID_VALUE;
    stream->capturing->nodes[stream->capturing->count++] = node;
    return OK;
}

CUresult cuInit(unsigned flags) { return flags ? INVALID_VALUE : OK; }
CUresult cuDriverGetVersion(int *version) { *version = 13000; return OK; }
CUresult cuDeviceGetCount(int *count) { *count = 1; return OK; }
CUresult cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal ? 101 : OK; }
CUresult cuDeviceGetName(char *name, int n, int device) { snprintf(name, n, "Fake GPU"); return OK; }
CUresult cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = MEMORY_BYTES; return OK; }
CUresult cuDeviceComputeCapability(int *major, int *minor, int device) { *major = 8; *minor = 7; return OK; }
CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : 0; /* compute capability, major and minor */
    return OK;
}
CUresult cuGetErrorName(CUresult error, const char **text) {
    *text = error == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OF_SOME_KIND";
    return OK;
}
CUresult cuGetErrorString(CUresult error, const char **text) { return cuGetErrorName(error, text); }

CUresult cuDevicePrimaryCtxRetain(void **context, int device) { *context = &primary; live[PRIMARIES]++; return OK; }
CUresult cuDevicePrimaryCtxRelease_v2(int device) { live[PRIMARIES]--; return OK; }
CUresult cuCtxPushCurrent_v2(void *context) { live[STACK]++; return context ? OK : INVALID_CONTEXT; }
CUresult cuCtxPopCurrent_v2(void **context) {
    *context = &primary;
    return live[STACK]-- > 0 ? OK : INVALID_CONTEXT;
}
CUresult cuCtxGetDevice(int *device) { *device = 0; return live[STACK] ? OK : INVALID_CONTEXT; }
CUresult cuCtxSynchronize(void) { return OK; }

/* The size is kept in front of the memory. */
static CUresult take(void **out, size_t n, int kind) {
    if (!live[STACK]) return INVALID_CONTEXT;
    if (n > (size_t)(MEMORY_BYTES - used_bytes)) return OUT_OF_MEMORY;
    size_t *block = malloc(n + 256);
    *block = n;
    if (kind == MEMORY) used_bytes += n;
    live[kind]++;
    *out = (char *)block + 256;
    return OK;
}
static CUresult give_back(void *memory, int kind) {
    if (!live[STACK]) return INVALID_CONTEXT;
    size_t *block = (size_t *)((char *)memory - 256);
    if (kind == MEMORY) used_bytes -= *block;
    live[kind]--;
    free(block);
    return OK;
}
CUresult cuMemAlloc_v2(uintptr_t *out, size_t n) { return take((void **)out, n, MEMORY); }
CUresult cuMemFree_v2(uintptr_t memory) { return give_back((void *)memory, MEMORY); }
CUresult cuMemHostAlloc(void **out, size_t n, unsigned flags) { return take(out, n, PINNED); }
CUresult cuMemFreeHost(void *memory) { return give_back(memory, PINNED); }
CUresult cuMemGetInfo_v2(size_t *available, size_t *total) {
    *total = MEMORY_BYTES;
    *available = MEMORY_BYTES - used_bytes;
    return OK;
}

CUresult cuStreamCreate(Stream **stream, unsigned flags) {
    if (flags != 1) return INVALID_VALUE; /* the default stream would hold this one up */
    *stream = calloc(1, sizeof(Stream));
    live[STREAMS]++;
    return OK;
}
CUresult cuStreamDestroy_v2(Stream *stream) { live[STREAMS]--; free(stream); return live[STACK] ? OK : INVALID_CONTEXT; }
CUresult cuStreamSynchronize(Stream *stream) { return stream->capturing ? CAPTURE_BROKEN : OK; }
CUresult cuStreamQuery(Stream *stream) { return OK; }
CUresult cuMemcpyHtoDAsync_v2(uintptr_t to, const void *from, size_t n, Stream *stream) {
    return enqueue(stream, (Node){.to = (void *)to, .from = from, .n = n});
}
CUresult cuMemcpyDtoHAsync_v2(void *to, uintptr_t from, size_t n, Stream *stream) {
    return enqueue(stream, (Node){.to = to, .from = (void *)from, .n = n});
}
CUresult cuLaunchHostFunc(Stream *stream, HostFunction call, void *data) {
    return enqueue(stream, (Node){.call = call, .data = data});
}

CUresult cuEventCreate(Event **event, unsigned flags) { *event = calloc(1, sizeof(Event)); live[EVENTS]++; return OK; }
CUresult cuEventDestroy_v2(Event *event) { live[EVENTS]--; free(event); return OK; }
CUresult cuEventRecordWithFlags(Event *event, Stream *stream, unsigned flags) {
    /* without the external flag a captured event is no node: nothing would be recorded */
    if (stream->capturing && flags != 1) return CAPTURE_BROKEN;
    return enqueue(stream, (Node){.event = event});
}
CUresult cuEventRecord(Event *event, Stream *stream) { return cuEventRecordWithFlags(event, stream, 0); }
CUresult cuEventSynchronize(Event *event) { return OK; }
CUresult cuEventQuery(Event *event) { return OK; }
CUresult cuEventElapsedTime(float *ms, Event *start, Event *end) {
    if (!start->ns || !end->ns) return INVALID_VALUE;
    *ms = (end->ns - start->ns) / 1e6;
    return OK;
}

CUresult cuStreamBeginCapture_v2(Stream *stream, int mode) {
    if (stream->capturing || mode != 1) return INVALID_VALUE;
    stream->capturing = calloc(1, sizeof(Graph));
    stream->broken = 0;
    return OK;
}
CUresult cuStreamEndCapture(Stream *stream, Graph **graph) {
    if (!stream->capturing) return INVALID_VALUE;
    *graph = stream->capturing;
    stream->capturing = NULL;
    if (stream->broken) { free(*graph); *graph = NULL; return CAPTURE_BROKEN; }
    live[GRAPHS]++;
    return OK;
}
CUresult cuGraphInstantiateWithFlags(Graph **executable, Graph *graph, unsigned long long flags) {
    *executable = malloc(sizeof(Graph));
    **executable = *graph;
    live[EXECUTABLES]++;
    return OK;
}
CUresult cuGraphLaunch(Graph *executable, Stream *stream) {
    launches++;
    for (int i = 0; i < executable->count; i++) run(&executable->nodes[i]);
    return OK;
}
CUresult cuGraphExecDestroy(Graph *executable) { live[EXECUTABLES]--; free(executable); return OK; }
CUresult cuGraphDestroy(Graph *graph) { live[GRAPHS]--; free(graph); return OK; }

/* How cuda-bindings looks functions up: by name without the version of their signature. */
CUresult cuGetProcAddress_v2(const char *name, void **found, int version, uint64_t flags, int *status) {
    char with_version[128];
    Dl_info self;
    dladdr((void *)cuInit, &self);
    void *library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    snprintf(with_version, sizeof with_version, "%s_v2", name);
    *found = dlsym(library, with_version);
    if (!*found) *found = dlsym(library, name);
    dlclose(library);
    if (status) *status = *found ? 0 : 1;
    return *found ? OK : 500;
}
