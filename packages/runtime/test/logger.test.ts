import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { createLogger } from '../src/index.ts'

function capture({ isTTY = false, level = 'info' as const } = {}) {
  const stream = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY })
  const logger = createLogger({ service: 'api', level, stream })
  return { logger, text: () => (stream.read() as string | null) ?? '' }
}

describe('logger', () => {
  it('writes one JSON object a line, with the facts as fields', () => {
    const { logger, text } = capture()
    logger.info('payment settled', { payment_id: 'p-1', request_id: 'r-1', amount_minor: 5n })
    logger.warn('second\nline')
    const lines = text()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).to.have.length(2)
    expect(lines[0]).to.include({
      service: 'api',
      level: 'info',
      message: 'payment settled',
      payment_id: 'p-1',
      request_id: 'r-1',
    })
    expect(lines[0].amount_minor).to.equal('5')
    expect(new Date(lines[0].time).getTime()).to.be.closeTo(Date.now(), 60_000)
    expect(lines[1]).to.include({ level: 'warn', message: 'second\nline' })
  })

  it('keeps its own fields if the caller’s fields have the same names', () => {
    const { logger, text } = capture()
    logger.info('the message', { message: 'other', level: 'error', service: 'other' })
    expect(JSON.parse(text())).to.include({ service: 'api', level: 'info', message: 'the message' })
  })

  it('adds no second listener to an output of several loggers, so that Node warns of no leak', () => {
    const stream = new PassThrough()
    for (let count = 0; count < 12; count += 1) createLogger({ service: 'api', level: 'info', stream })
    expect(stream.listenerCount('error')).to.equal(1)
  })

  it('writes nothing below its level', () => {
    const { logger, text } = capture()
    logger.debug('not this')
    expect(text()).to.equal('')
  })

  it('never shows a password, in any field', () => {
    const { logger, text } = capture()
    const error = Object.assign(new Error('connect to postgres://u:hunter2@h failed'), {
      config: { password: 'hunter2' },
    })
    logger.error('cannot reach amqp://u:hunter2@h', {
      error,
      url: 'amqp://u:hunter2@h/',
      nested: { password: 'hunter2' },
    })
    expect(text()).to.include('cannot reach').and.to.not.include('hunter2')
  })

  it('writes readable lines on a terminal', () => {
    const { logger, text } = capture({ isTTY: true })
    logger.info('payment settled', { payment_id: 'p-1', reason: 'two words' })
    expect(text()).to.match(
      /^\d\d:\d\d:\d\d\.\d{3} api \S*info\S* payment settled payment_id=p-1 reason="two words"\n$/,
    )
  })
})
