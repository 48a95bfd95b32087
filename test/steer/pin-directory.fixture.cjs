// What a user is told about a pin directory, and whether he can open what is pinned in it.
// Usage: node pin-directory.fixture.cjs DIST prepare|open PATH   -> a line of JSON
const [dist, step, path] = process.argv.slice(2);
const STEPS = {
  /** What had to be repaired. */
  prepare: () => require(`${dist}/steer/pin-directory`).preparePinDirectory(path),
  /** A pinned map, by bpf(2): a descriptor that writes to it. */
  open: () => require(`${dist}/kernel/bpf`).openPinned(path) !== undefined,
};

try {
  console.log(JSON.stringify({ said: STEPS[step]() }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message }));
}
