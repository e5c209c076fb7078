import { expect } from 'chai'
import { RETRY_AFTER_MAX_MS, readRetryAfter } from '../../src/provider/read-charge.ts'

const NOW = Date.parse('2026-11-22T10:00:00.000Z')

describe('Retry-After', () => {
  for (const [value, milliseconds] of [
    ['0', 0],
    ['120', 120_000],
    [' 5 ', 5_000],
    ['999999999999999999999999', RETRY_AFTER_MAX_MS],
    ['Sun, 22 Nov 2026 10:00:30 GMT', 30_000],
    ['Sun, 22 Nov 2026 09:00:00 GMT', 0],
    ['Sun, 22 Nov 2126 10:00:00 GMT', RETRY_AFTER_MAX_MS],
    ['-1', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['2026-11-22T10:00:30Z', undefined],
    ['Sun, 99 Nov 2026 10:00:30 GMT', undefined],
    ['', undefined],
    [null, undefined],
  ] as const) {
    it(`of ${JSON.stringify(value)} is ${milliseconds} ms`, () => {
      expect(readRetryAfter(value, NOW)).to.equal(milliseconds)
    })
  }
})
