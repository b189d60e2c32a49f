import { describe, expect, it } from 'vitest';
import { ago, bytes, count, duration, millis, percent, rate } from '../src/lib/format';

const plain = (text: string) => text.replaceAll('\u00a0', ' ');

describe('numbers as text', () => {
  it('never rounds a failure away', () => {
    expect(plain(percent(1))).toBe('100 %');
    expect(plain(percent(0.999999))).toBe('99.99 %');
    expect(plain(percent(0.000001))).toBe('< 0.01 %');
    expect(plain(percent(0))).toBe('0 %');
    expect(plain(percent(0.8814))).toBe('88.14 %');
    expect(plain(percent(0.9996, 1))).toBe('99.9 %');
  });

  it('shows what is not known as a dash', () => {
    for (const text of [percent(null), rate(undefined), millis(NaN), count(null), bytes(undefined), duration(null), ago(null, 0)]) expect(text).toBe('–');
  });

  it('chooses units', () => {
    expect(plain(millis(3.14159))).toBe('3.1 ms');
    expect(plain(millis(999.4))).toBe('999 ms');
    expect(plain(millis(1240))).toBe('1.24 s');
    expect(plain(count(9999))).toBe('9999');
    expect(plain(count(12_345))).toBe('12.3 k');
    expect(plain(count(4_200_000))).toBe('4.2 M');
    expect(plain(bytes(48_200_000))).toBe('48.2 MB');
    expect(plain(rate(0.02))).toBe('< 0.1');
    expect(plain(rate(20))).toBe('20.0');
    expect(plain(rate(1234))).toBe('1234');
  });

  it('says lengths of time in two units at most', () => {
    expect(plain(duration(4))).toBe('4 s');
    expect(plain(duration(725))).toBe('12 m 5 s');
    expect(plain(duration(90_061))).toBe('1 d 1 h');
    expect(plain(duration(-61))).toBe('−1 m 1 s');
    expect(plain(ago(1000, 63_000))).toBe('1 m 2 s ago');
  });
});
