"""The operator's page: what the daemon does, in a browser, with hold and stop always on screen.

app (HTTP, no more than a browser on this computer may do), view (what it shows, given by the
daemon's process), lease (one operator at a time), history (the last ten minutes), metrics
(Prometheus), static (the page itself, without a build step).
"""
