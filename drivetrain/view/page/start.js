// Begin: the replay where the page has one, tooltips on charts.
for (const chart of document.querySelectorAll("svg.chart")) bindChart(chart);
const replayRoot = document.getElementById("replay");
if (replayRoot) window.replay = mountReplay(replayRoot, JSON.parse(document.getElementById("replay-data").textContent));
