// Preloaded into upstream's gateway (`node --require`), so that a pod needs one process: brings the config that is
// mounted from a Secret to the real file that OPENCLAW_CONFIG_PATH names, at the start and again after each change.
// Upstream reloads an edited file but never sees the symlink of a Secret's volume swapped.
// gateway/tenant_gateway/pod.py does the same for the native runtime.
"use strict";

const fs = require("node:fs");
const { constants, enableCompileCache } = require("node:module");
const path = require("node:path");
const { isMainThread } = require("node:worker_threads");

const INTERVAL_MS = 1000; // the kubelet itself takes up to a minute to bring a changed Secret
const EXIT_CONFIG = 78; // sysexits' EX_CONFIG: no restart mends it
const HEAP_SHARE = 0.75; // of the memory limit for V8's heap; upstream's own manifest has 1536 MiB of 2 GiB

/** Brings the source's bytes to the target in one step; false if it has them: upstream checks any new file for 1.5 s. */
function copyConfig(source, target) {
  const wanted = fs.readFileSync(source);
  try {
    if (fs.readFileSync(target).equals(wanted)) return false;
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    fs.mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
  }
  const draft = `${target}.${process.pid}.tmp`;
  try {
    fs.writeFileSync(draft, wanted, { mode: 0o600, flush: true });
    fs.renameSync(draft, target);
  } catch (error) {
    fs.rmSync(draft, { force: true });
    throw error;
  }
  return true;
}

function followConfig(source, target) {
  fs.watchFile(source, { interval: INTERVAL_MS, persistent: false }, (now) => {
    if (now.ino === 0) return; // not there, while the kubelet swaps
    try {
      if (copyConfig(source, target)) console.log(`took over the changed config ${source}`);
    } catch (error) {
      console.error(`the changed config ${source} is not taken over: ${error.message}`);
    }
  });
}

/** Takes the image's cache of V8's code; where that is of another kind of CPU, one on the tenant's own volume. */
function useCompileCache(inImage, onVolume) {
  const { ENABLED, ALREADY_ENABLED } = constants.compileCacheStatus;
  for (const directory of [inImage, onVolume]) {
    // Fails where the folder for this V8, CPU and user is neither there nor can be made: the image is read-only.
    const { status } = enableCompileCache(directory);
    if (status === ENABLED || status === ALREADY_ENABLED) {
      process.env.NODE_COMPILE_CACHE = directory; // for child processes
      return;
    }
  }
}

function start(source, target) {
  try {
    if (process.env.HOME) fs.mkdirSync(process.env.HOME, { recursive: true, mode: 0o700 });
    copyConfig(source, target);
  } catch (error) {
    console.error(`the config ${source} can't be copied to ${target}: ${error.message}`);
    // A full volume must not lock its owner out: with the config of the last time he can delete something.
    if (!fs.existsSync(target) || !fs.existsSync(source)) process.exit(EXIT_CONFIG);
  }
  followConfig(source, target);
}

const { OPENCLAW_CONFIG_SOURCE: source, OPENCLAW_CONFIG_PATH: target, OPENCLAW_POD: pod } = process.env;
// Worker threads and forked children inherit --require; they have the variables no more.
if (isMainThread && pod) {
  delete process.env.OPENCLAW_POD;
  if (!source || !target) {
    console.error("OPENCLAW_CONFIG_SOURCE and OPENCLAW_CONFIG_PATH must be set: the mounted file and the one to read");
    process.exit(EXIT_CONFIG);
  }
  const { OPENCLAW_IMAGE_COMPILE_CACHE: inImage } = process.env;
  if (inImage) useCompileCache(inImage, path.join(path.dirname(target), "compile-cache"));
  const limit = process.constrainedMemory();
  if (limit > 0 && limit < 2 ** 50 && !/max-old-space-size/.test(process.env.NODE_OPTIONS ?? "")) {
    const megabytes = Math.max(256, Math.floor((limit * HEAP_SHARE) / 2 ** 20));
    require("node:v8").setFlagsFromString(`--max-old-space-size=${megabytes}`);
  }
  start(source, target);
}
