import { expect } from 'chai'
import { createCondition, type LogFields } from '../src/index.ts'

describe('condition in the log', () => {
  let lines: string[]
  let at: number
  const write = (level: string) => (message: string, fields?: LogFields) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
  const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const create = (level?: 'error') =>
    createCondition(logger, { message: 'it rains', ended: 'it is dry', ...(level && { level }), now: () => at })
  beforeEach(() => {
    lines = []
    at = 1_000
  })

  it('logs a condition when it begins, once a minute while it lasts, and once when it has ended', () => {
    const rain = create()
    for (; at <= 121_000; at += 1_000) rain.holds({ mm: at / 1_000 })
    rain.ended({ mm: 0 })
    rain.ended()
    expect(lines).to.deep.equal([
      'warn it rains {"mm":1}',
      'warn it rains {"mm":61}',
      'warn it rains {"mm":121}',
      'info it is dry {"mm":0,"lasted_ms":121000}',
    ])
  })

  it('logs a condition at most once a minute when it begins and ends often', () => {
    const rain = create('error')
    for (; at <= 61_000; at += 2_000) {
      rain.holds()
      rain.ended()
    }
    expect(lines).to.deep.equal([
      'error it rains {}',
      'info it is dry {"lasted_ms":0}',
      'error it rains {}',
      'info it is dry {"lasted_ms":0}',
    ])
  })
})
