import { expect } from 'chai'
import { createLogPrinter } from '../src/log-printer.ts'

const line = (level: string, message: string, fields = {}) =>
  JSON.stringify({ time: '2026-01-02T03:04:05.678Z', service: 'worker', level, message, ...fields })

describe('log printer', () => {
  function printer(level: 'info' | 'warn') {
    const lines: string[] = []
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
    const write = (text: string) => void lines.push(text.replace(/\u001b\[\d+m/g, ''))
    return { lines, ...createLogPrinter({ write, level, labelWidth: 8 }) }
  }

  it('prints a log line with its fields, readable', () => {
    const { lines, print, release } = printer('info')
    release()
    print('worker 2', line('info', 'payment settled', { payment_id: 'p1', attempts: 1, detail: 'two words' }))
    expect(lines).to.deep.equal([
      '03:04:05.678  worker 2  info   payment settled payment_id=p1 attempts=1 detail="two words"',
    ])
  })

  it('prints an error as its message and its stack', () => {
    const { lines, print, release } = printer('info')
    release()
    print('api', line('error', 'boom', { error: { message: 'no route', stack: 'Error: no route\n    at here' } }))
    expect(lines).to.deep.equal(['03:04:05.678  api       error  boom error="no route"\n    at here'])
  })

  it('prints output other than log lines unchanged', () => {
    const { lines, print } = printer('info')
    print('api', 'Segmentation fault')
    print('api', '{"not": "ours"}')
    expect(lines).to.deep.equal(['api       Segmentation fault', 'api       {"not": "ours"}'])
  })

  it('writes control characters of any text as escapes', () => {
    const { lines, print } = printer('info')
    print('worker 1', line('warn', 'paused\u0007', { reason: 'a\u009b2Jb', by: '\u202eann' }))
    print('api', 'raw\u0007')
    expect(lines).to.deep.equal([
      '03:04:05.678  worker 1  warn   paused\\u0007 reason=a\\u009b2Jb by=\\u202eann',
      'api       raw\\u0007',
    ])
  })

  it('prints no line below the configured level', () => {
    const { lines, print, release } = printer('warn')
    release()
    print('api', line('info', 'ready'))
    print('api', line('warn', 'slow'))
    expect(lines.map((text) => text.split('  ').at(-1))).to.deep.equal([' slow'])
  })

  it('holds back lines until release, except warnings', () => {
    const { lines, print, release } = printer('info')
    print('api', line('info', 'ready'))
    print('api', line('warn', 'waiting for PostgreSQL'))
    expect(lines).to.have.length(1)
    release()
    expect(lines[1]).to.contain('ready')
  })
})
