/** Time that is shown while it passes. */

/**
 * Calls `tick` every second with the time left, until none is.
 *
 * @param {number} until
 * @param {(left: number) => void} tick
 * @returns {() => void} Stops it early.
 */
export function countdown(until, tick) {
  const timer = setInterval(step, 1_000);
  function step() {
    const left = Math.max(0, until - Date.now());
    if (left === 0) clearInterval(timer);
    tick(left);
  }
  step();
  return () => clearInterval(timer);
}
