'use strict';
// A customer outside of the mesh: asks the node service again and again, and says every ten seconds how that went.
const target = process.env.TARGET ?? 'http://node:8080';
const pause = Number(process.env.PAUSE_MS ?? 200);
let good = 0;
let bad = 0;
let asked = 0;
let last = '';

async function ask() {
  asked += 1;
  try {
    const response = await fetch(`${target}/?note=letter-${asked}`, { signal: AbortSignal.timeout(15_000) });
    const body = await response.text();
    if (response.status === 200) {
      good += 1;
      if (good === 1) console.log(`first answer: ${body}`);
    } else {
      bad += 1;
      last = `${response.status} ${body}`;
    }
  } catch (error) {
    bad += 1;
    last = error.cause?.message ?? error.message;
  }

  timer = setTimeout(ask, pause);
}

const report = () => console.log(`${good} good, ${bad} bad${bad > 0 ? `; last: ${last}` : ''}`);
let timer = setTimeout(ask, 0);
setInterval(report, 10_000);
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    clearTimeout(timer);
    report();
    process.exit(0);
  });
}
