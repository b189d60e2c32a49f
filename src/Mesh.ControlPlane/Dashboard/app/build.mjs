// Builds the page: npm ci where that is needed, vite, and each file compressed beside itself. Prints one line.
//
//   node build.mjs [--out FOLDER] [--check]
//
// --out    copies what was built there; several builds may ask at once, one after the other is served
// --check  types and tests too
//
// Ends with 0; 69 when packages can't be fetched, with one line that says so; 1 when the page does not build or is larger than it may be.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const MAX_GZIP = 150_000;
const UNAVAILABLE = 69;
const app = dirname(fileURLToPath(import.meta.url));
const dist = join(app, 'dist');
const lock = join(app, 'node_modules.lock');
const args = process.argv.slice(2);
const out = args.includes('--out') ? args[args.indexOf('--out') + 1] : null;
const check = args.includes('--check');

const [major] = process.versions.node.split('.').map(Number);
if (major < 18) end(UNAVAILABLE, `Node ${process.versions.node} is too old: 18 or newer builds the page.`);

function end(code, line) {
  (code === 0 ? console.log : console.error)(`dashboard: ${line}`);
  process.exit(code);
}

function run(command, words, limit) {
  return spawnSync(command, words, { cwd: app, encoding: 'utf8', timeout: limit, killSignal: 'SIGKILL', shell: process.platform === 'win32' && command === 'npm', env: { ...process.env, NO_COLOR: '1', CI: '1' } });
}

const said = (done) => `${done.stdout ?? ''}\n${done.stderr ?? ''}`.trim();

function files(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: false })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((e) => (e.isDirectory() ? files(join(folder, e.name)) : [join(folder, e.name)]));
}

function hash(paths) {
  const sum = createHash('sha256');
  for (const path of paths) sum.update(relative(app, path).replaceAll('\\', '/')).update('\0').update(readFileSync(path)).update('\0');
  return sum.digest('hex');
}

const sources = () => ['index.html', 'package-lock.json', 'package.json', 'vite.config.ts', 'build.mjs'].map((n) => join(app, n)).concat(files(join(app, 'src')), files(join(app, 'public')));

// One at a time in this folder: whoever holds the lock has written its process id into it.
async function take() {
  for (const began = Date.now(); ; ) {
    try {
      mkdirSync(lock);
      writeFileSync(join(lock, 'pid'), String(process.pid));
      process.on('exit', () => rmSync(lock, { recursive: true, force: true }));
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (gone()) rmSync(lock, { recursive: true, force: true });
    else if (Date.now() - began > 400_000) end(UNAVAILABLE, 'another build of the page does not end.');
    else await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function gone() {
  try {
    const pid = Number(readFileSync(join(lock, 'pid'), 'utf8'));
    if (!pid) return false;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    // Between making the folder and writing into it: wait, but not for ever.
    if (error.code === 'ENOENT') return existsSync(lock) && Date.now() - statSync(lock).mtimeMs > 10_000;
    return error.code === 'ESRCH';
  }
}

function install() {
  const wanted = hash([join(app, 'package-lock.json')]);
  const mark = join(app, 'node_modules', '.mesh-lock');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return;
  const done = run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--fetch-retries=1', '--fetch-retry-mintimeout=1000', '--fetch-timeout=30000'], 300_000);
  if (done.error?.code === 'ENOENT') end(UNAVAILABLE, 'npm is missing.');
  if (done.status !== 0) {
    const why = said(done).split('\n').find((l) => /npm (error|ERR!) (code|network|errno)/i.test(l))?.replace(/^npm (error|ERR!) /i, '') ?? 'it took too long';
    end(UNAVAILABLE, `its npm packages could not be fetched (${why}).`);
  }
  writeFileSync(mark, wanted);
}

function bundle(wanted) {
  const fresh = join(app, `dist.${process.pid}`);
  const done = run(process.execPath, [join(app, 'node_modules', 'vite', 'bin', 'vite.js'), 'build', '--outDir', fresh, '--logLevel', 'warn'], 180_000);
  if (done.status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    console.error(said(done));
    end(1, 'the page does not build.');
  }
  for (const file of files(fresh)) {
    const bytes = readFileSync(file);
    if (/\.(html|js|css|svg)$/.test(file)) {
      writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }));
      writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
    }
  }
  writeFileSync(join(fresh, '.stamp'), wanted);
  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);
}

if (!existsSync(join(app, 'package-lock.json'))) end(1, 'package-lock.json is missing.');
await take();
const wanted = hash(sources());
const stamp = join(dist, '.stamp');
const current = existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
if (!current || check) install();
if (check) {
  for (const [what, words, limit] of [
    ['types', [join('node_modules', 'typescript', 'bin', 'tsc'), '--noEmit'], 180_000],
    ['tests', [join('node_modules', 'vitest', 'vitest.mjs'), 'run'], 180_000],
  ]) {
    const done = run(process.execPath, words, limit);
    if (done.status !== 0) {
      console.error(said(done));
      end(1, `its ${what} fail.`);
    }
    const count = said(done).match(/Tests\s+(\d+) passed/);
    if (count) console.log(`dashboard: ${count[1]} tests passed`);
  }
}
if (!current) bundle(wanted);
const size = files(dist).filter((f) => f.endsWith('.gz')).reduce((n, f) => n + statSync(f).size, 0);
if (out) {
  rmSync(out, { recursive: true, force: true });
  cpSync(dist, out, { recursive: true });
}
if (size > MAX_GZIP) end(1, `${size} bytes gzipped, and at most ${MAX_GZIP} are allowed.`);
end(0, `${current ? 'is up to date' : 'built'}, ${(size / 1000).toFixed(1)} kB gzipped of at most ${MAX_GZIP / 1000}`);
