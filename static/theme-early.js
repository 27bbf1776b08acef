/* Applies the chosen theme before the first paint, so that the page does not flash. No module: those run later. */
try {
  const theme = localStorage.getItem("rasta-stream.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage, the system decides.
}
