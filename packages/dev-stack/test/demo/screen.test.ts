import { expect } from 'chai'
import { createScreen } from '../../src/demo/screen.ts'

describe('screen of the demo', () => {
  function screen(terminal: { isTTY: boolean; columns?: number; rows?: number }) {
    let written = ''
    const write = (text: string | Uint8Array) => {
      written += text
      return true
    }
    return { ...createScreen({ ...terminal, write } as NodeJS.WriteStream), written: () => written }
  }

  it('screen draws a block again in place, until a line follows it', () => {
    const { live, line, written } = screen({ isTTY: true, columns: 80, rows: 24 })
    live(['a', 'b'], 'one')
    live(['c', 'd'], 'two')
    line('end')
    live(['e'], 'three')
    expect(written()).to.equal('\x1b[0Ja\nb\n\x1b[2A\x1b[0Jc\nd\nend\n\x1b[0Je\n')
  })

  for (const [name, terminal] of [
    ['is no terminal', { isTTY: false }],
    ['has too few rows', { isTTY: true, columns: 80, rows: 3 }],
    ['is too narrow', { isTTY: true, columns: 40, rows: 24 }],
  ] as const)
    it(`screen prints each new summary as a line where the output ${name}`, () => {
      const { live, written } = screen(terminal)
      live(['a', 'b'], 'one')
      live(['a', 'c'], 'one')
      live(['a', 'd'], 'two')
      expect(written()).to.equal('one\ntwo\n')
    })
})
