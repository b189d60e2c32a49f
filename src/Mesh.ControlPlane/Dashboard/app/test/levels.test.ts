import { describe, expect, it } from 'vitest';
import type { Golden } from '../src/api';
import { known, ofCalls, severity, worst } from '../src/lib/levels';

const calls = (requests: number, failures: number): Golden => ({
  requests, failures, retries: 0, success_rate: 1 - failures / requests, effective_success_rate: 1 - failures / requests, rps: 1, p50_ms: 1, p95_ms: 1, p99_ms: 1, mtls_share: 1,
});

describe('levels', () => {
  it('follow the API’s limits', () => {
    expect(ofCalls(calls(100, 0))).toBe('ok');
    expect(ofCalls(calls(1000, 9))).toBe('ok');
    expect(ofCalls(calls(1000, 10))).toBe('degraded');
    expect(ofCalls(calls(1000, 100))).toBe('failing');
    expect(ofCalls(calls(0, 0))).toBe('idle');
    expect(ofCalls(null)).toBe('idle');
  });

  it('fewer than ten calls make nobody failing', () => expect(ofCalls(calls(9, 9))).toBe('degraded'));

  it('find the worst', () => {
    expect(worst(['ok', 'degraded', 'idle'])).toBe('degraded');
    expect(worst([])).toBe('idle');
    expect(severity('failing')).toBeGreaterThan(severity('degraded'));
  });

  it('do not hide one that is new', () => expect(known('melting')).toBe('degraded'));
});
