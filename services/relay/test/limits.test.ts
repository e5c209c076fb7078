import { LANES } from '@cashflow/outbox'
import { expect } from 'chai'
import { relayEnv } from '../src/config.ts'
import { MESSAGES_HELD_MAX, passLimits } from '../src/limits.ts'

const allowed = Array.from({ length: 64 }, (_, index) => index + 1).filter(
  (passes) => relayEnv.safeParse({ RELAY_PASSES: String(passes) }).success,
)

describe('passes of one relay', () => {
  for (const passes of allowed) {
    it(`lock at most half of the lanes and fit into the publisher’s window: ${passes} passes at once`, () => {
      const { lanesMax, messagesPerLaneMax } = passLimits(passes)
      expect(lanesMax).to.be.at.least(1)
      expect(lanesMax * passes).to.be.at.most(LANES / 2)
      expect(lanesMax * passes * messagesPerLaneMax).to.be.at.most(MESSAGES_HELD_MAX)
    })
  }
})
