// Makes pictures of the page small: 256 colours are enough for it. node mock/shrink.mjs FILE.png…
import { readFileSync, writeFileSync } from 'node:fs';
import { crc32 as zlibCrc, deflateSync, inflateSync } from 'node:zlib';

const table = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});
const crc = zlibCrc ?? ((bytes) => (bytes.reduce((c, b) => table[(c ^ b) & 255] ^ (c >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0);

for (const file of process.argv.slice(2)) {
  const { width, height, channels, pixels } = decode(readFileSync(file));
  const counts = new Map();
  // Each colour counts; those that differ by less than can be seen count as one.
  const keyAt = (i) => ((pixels[i] & 0xfc) << 16) | ((pixels[i + 1] & 0xfc) << 8) | (pixels[i + 2] & 0xfc);
  const sums = new Map();
  for (let i = 0; i < pixels.length; i += channels) {
    const key = keyAt(i);
    const sum = sums.get(key) ?? [0, 0, 0];
    for (let c = 0; c < 3; c++) sum[c] += pixels[i + c];
    sums.set(key, sum);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const palette = [...counts.entries()].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([key, n]) => sums.get(key).map((v) => Math.round(v / n)));
  const index = new Map();
  const nearest = (key) => {
    const [r, g, b] = [(key >> 16) & 255, (key >> 8) & 255, key & 255];
    let [best, at] = [Infinity, 0];
    palette.forEach(([x, y, z], i) => {
      const d = 2 * (x - r) ** 2 + 4 * (y - g) ** 2 + 3 * (z - b) ** 2;
      if (d < best) [best, at] = [d, i];
    });
    return at;
  };
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i += channels) {
      const key = keyAt(i);
      if (!index.has(key)) index.set(key, nearest(key));
      rows[y * (width + 1) + 1 + x] = index.get(key);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const parts = [['IHDR', header], ['PLTE', Buffer.from(palette.flat())], ['IDAT', deflateSync(rows, { level: 9 })], ['IEND', Buffer.alloc(0)]];
  writeFileSync(file, Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), ...parts.map(([type, data]) => chunk(type, data))]));
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  size.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc(body));
  return Buffer.concat([size, body, sum]);
}

/** PNG as a browser writes it: 8 bits, RGB or RGBA, not interlaced. */
function decode(png) {
  let [width, height, channels] = [0, 0, 3];
  const data = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    const body = png.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') {
      [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)];
      if (body[8] !== 8 || ![2, 6].includes(body[9]) || body[12] !== 0) throw new Error('Not a picture of the kind that a browser makes.');
      channels = body[9] === 6 ? 4 : 3;
    }
    if (type === 'IDAT') data.push(body);
    at += length + 12;
  }
  const raw = inflateSync(Buffer.concat(data));
  const stride = width * channels;
  const pixels = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const left = x >= channels ? pixels[y * stride + x - channels] : 0;
      const up = y > 0 ? pixels[(y - 1) * stride + x] : 0;
      const corner = x >= channels && y > 0 ? pixels[(y - 1) * stride + x - channels] : 0;
      const value = raw[y * (stride + 1) + 1 + x];
      const p = left + up - corner;
      const [a, b, c] = [Math.abs(p - left), Math.abs(p - up), Math.abs(p - corner)];
      const paeth = a <= b && a <= c ? left : b <= c ? up : corner;
      pixels[y * stride + x] = value + [0, left, up, (left + up) >> 1, paeth][filter];
    }
  }
  return { width, height, channels, pixels };
}
