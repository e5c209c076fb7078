import { expect } from 'chai'
import { isSampled, readTraceparent, traceIdOf } from '../src/index.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const GIVEN = `00-${TRACE}-${SPAN}-01`

describe('traceparent', () => {
  it('traceparent: a well-formed one of version 00 is read as it is', () => {
    expect(readTraceparent(GIVEN)).to.equal(GIVEN)
    expect(traceIdOf(readTraceparent(GIVEN))).to.equal(TRACE)
    expect(isSampled(GIVEN)).to.equal(true)
    expect(isSampled(`00-${TRACE}-${SPAN}-00`)).to.equal(false)
    expect(isSampled(`00-${TRACE}-${SPAN}-02`), 'the flag "random"').to.equal(false)
  })

  it('traceparent: one of a later version is read as version 00, with the sampled flag only', () => {
    expect(readTraceparent(`01-${TRACE}-${SPAN}-01-what-comes-later`)).to.equal(GIVEN)
    expect(readTraceparent(`cc-${TRACE}-${SPAN}-ff`)).to.equal(GIVEN)
    expect(readTraceparent(`01-${TRACE}-${SPAN}-02`)).to.equal(`00-${TRACE}-${SPAN}-00`)
  })

  for (const [what, given] of [
    ['nothing', undefined],
    ['two headers', `${GIVEN}, ${GIVEN}`],
    ['a list', [GIVEN]],
    ['capital letters', GIVEN.toUpperCase()],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['a short span id', `00-${TRACE}-${SPAN.slice(1)}-01`],
    ['more than version 00 has', `${GIVEN}-00`],
    ['a line break', `${GIVEN}\n`],
    ['a long one of a later version', `01-${TRACE}-${SPAN}-01-${'x'.repeat(1_000)}`],
  ] as const)
    it(`traceparent: ${what} means that there is no trace`, () => {
      expect(readTraceparent(given)).to.equal(undefined)
    })
})
