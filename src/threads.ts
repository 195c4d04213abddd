/**
 * Imported before anything else: libuv reads the size of its thread pool once, at the first use. With the default of
 * four, four file accesses that hang stop every other one (src/host/files.ts bounds what may hang beside each other).
 */
process.env["UV_THREADPOOL_SIZE"] ??= "32";
