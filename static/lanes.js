/**
 * Who may hold an open stream. Over HTTP/1.1, a browser opens six connections to a host, for all of its tabs
 * together. Four of them may be streams, so that a stop and a new tab always get through.
 */

const LANES_LIMIT = 4;

/** @typedef {() => void} Leave Gives the lane back. */

/**
 * Takes a lane, if one is free.
 *
 * @returns {Promise<Leave|null>}
 */
export async function takeLane() {
  // Without locks, as in insecure contexts, tabs cannot see each other. Hidden ones still leave.
  if (!navigator.locks || isMultiplexed()) return () => {};
  for (let lane = 0; lane < LANES_LIMIT; lane++) {
    const leave = await tryLock(`rasta-stream.lane.${lane}`);
    if (leave) return leave;
  }
  return null;
}

/** Whether many streams share one connection. */
function isMultiplexed() {
  const [navigation] = performance.getEntriesByType("navigation");
  return navigation instanceof PerformanceNavigationTiming && /^h[23]/.test(navigation.nextHopProtocol);
}

/**
 * @param {string} name
 * @returns {Promise<Leave|null>}
 */
function tryLock(name) {
  return new Promise((resolve) => {
    navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (lock === null) {
        resolve(null);
        return undefined;
      }
      // The browser holds the lock until this promise resolves, or until the tab ends.
      return new Promise((leave) => resolve(() => leave(undefined)));
    });
  });
}
