import { expect } from 'chai'
import fc from 'fast-check'
import { answerText, retryAfterMs } from '../src/answer.ts'

describe('what is kept of an answer', () => {
  it('answer text: is at most 1,024 bytes of well-formed text without NUL, for any bytes', () => {
    const chunks = fc.array(
      fc.oneof(fc.uint8Array({ maxLength: 2_000 }), fc.string({ unit: 'grapheme', maxLength: 900 })),
    )
    fc.assert(
      fc.property(chunks, (parts) => {
        const text = answerText(parts.map((part) => Buffer.from(part as Uint8Array)))
        expect(Buffer.byteLength(text)).to.be.at.most(1_024)
        expect(text.isWellFormed() && !text.includes('\0')).to.equal(true)
      }),
    )
  })

  it('answer text: is the body where that is short, and leaves out a character that the end cuts off', () => {
    expect(answerText([])).to.equal('')
    expect(answerText([Buffer.from('ሰላም')])).to.equal('ሰላም')
    const [left, right] = [Buffer.from('ሰላም').subarray(0, 4), Buffer.from('ሰላም').subarray(4)]
    expect(answerText([left, right])).to.equal('ሰላም')
    expect(answerText([Buffer.from('€'.repeat(400))])).to.equal('€'.repeat(341))
    expect(answerText([Buffer.from('a\0b\x1b')])).to.equal('a\ufffdb\x1b')
    expect(answerText([Buffer.alloc(5_000, 0xff)])).to.equal('\ufffd'.repeat(341))
  })

  const NOW = Date.parse('2026-11-30T12:00:00Z')
  for (const [header, ms] of [
    ['0', 0],
    ['120', 120_000],
    [' 7 ', 7_000],
    ['86401', 86_400_000],
    ['9'.repeat(400), 86_400_000],
    ['Mon, 30 Nov 2026 12:01:00 GMT', 60_000],
    ['Mon, 30 Nov 2026 11:00:00 GMT', 0],
    ['Wed, 30 Dec 2026 12:00:00 GMT', 86_400_000],
    [undefined, undefined],
    ...['', '-1', '1.5', '1e3', '0x10', 'soon', '2026-11-30', 'Mon, 99 Nov 2026 12:01:00 GMT', 'Infinity'].map(
      (garbage) => [garbage, undefined] as const,
    ),
  ] as const)
    it(`Retry-After: ${JSON.stringify(header)?.slice(0, 40)} is ${ms === undefined ? 'ignored' : `${ms} ms`}`, () => {
      expect(retryAfterMs(header, NOW)).to.equal(ms)
    })
})
