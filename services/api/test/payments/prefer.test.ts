import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import { readWait } from '../../src/payments/prefer.ts'

const waitOf = (prefer?: string) => readWait({ headers: prefer === undefined ? {} : { prefer } } as IncomingMessage)

describe('api: preference wait', () => {
  const READ: [prefer: string, seconds: number][] = [
    ['wait=10', 10],
    ['wait=0', 0],
    ['WAIT=010', 10],
    ['wait="10"', 10],
    ['wait = 10', 10],
    ['wait=10; urgency=high', 10],
    ['respond-async, wait=10', 10],
    ['return=minimal, note="a, wait=3", wait=7', 7],
    ['note="a \\" wait=3", wait=7', 7],
    ['wait=30', 30],
    ['wait=31', 30],
    [`wait=${'9'.repeat(200)}`, 30],
    ['wait=5, wait=9', 5],
  ]
  for (const [prefer, seconds] of READ) {
    it(`api: reads ${seconds} s from Prefer: ${prefer.slice(0, 40)}`, () => {
      expect(waitOf(prefer)).to.equal(seconds)
    })
  }

  const IGNORED = [
    ...[undefined, '', 'respond-async', 'waiting=3', 'x-wait=3', 'wait', 'wait=', 'wait=-1', 'wait=1.5', 'wait=1s'],
    ...['wait=1 2', "wait='3'", 'wait="3', '"wait=3"', 'note="wait=3"', 'wait=x, wait=3', `${'x,'.repeat(200)}wait=3`],
  ]
  for (const prefer of IGNORED) {
    it(`api: ignores Prefer: ${prefer?.slice(0, 40)}`, () => {
      expect(waitOf(prefer)).to.equal(undefined)
    })
  }
})
