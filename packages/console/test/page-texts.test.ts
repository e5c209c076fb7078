import { expect } from 'chai'
import { factTexts } from '../src/page/payments/fact-texts.ts'
import { counted, countText, groupDigits, rateText } from '../src/page/text/digits.ts'
import { axisDuration, durationText, relativeText } from '../src/page/text/durations.ts'
import { clockText, exactText, localText } from '../src/page/text/times.ts'
import { piecesOf, visibleText } from '../src/page/text/visible.ts'

describe('texts of the page', () => {
  it('page texts: digits of an amount are grouped without becoming a number', () => {
    const texts = {
      '0': '0',
      '0.99': '0.99',
      '999': '999',
      '1000': '1,000',
      '1234567.50': '1,234,567.50',
      '-1234.5': '-1,234.5',
      '123456.1234567': '123,456.1234567',
      '98765432109876543210.00': '98,765,432,109,876,543,210.00',
      'no number': 'no number',
      '': '',
    }
    for (const [decimal, grouped] of Object.entries(texts)) expect(groupDigits(decimal)).to.equal(grouped)
  })

  it('page texts: counts are grouped, and rates have as many digits as can be read', () => {
    expect(countText(1_234_567)).to.equal('1,234,567')
    expect([0, 0.123, 1, 9.96, 12.34, 1_234.5].map(rateText)).to.deep.equal(['0', '0.12', '1', '10', '12', '1,235'])
    expect([0, 1, 2_000].map((count) => counted(count, 'payment'))).to.deep.equal([
      '0 payments',
      '1 payment',
      '2,000 payments',
    ])
  })

  it('page texts: a duration has its two largest units', () => {
    const texts: readonly (readonly [number, string])[] = [
      [-5, '0 ms'],
      [0, '0 ms'],
      [12.4, '12 ms'],
      [999.4, '999 ms'],
      [999.9, '1 s'],
      [1_240, '1.2 s'],
      [9_940, '9.9 s'],
      [9_990, '10 s'],
      [59_600, '1 min'],
      [200_000, '3 min 20 s'],
      [3_599_900, '1 h'],
      [7_500_000, '2 h 5 min'],
      [187_200_000, '2 d 4 h'],
    ]
    for (const [ms, text] of texts) expect(durationText(ms), String(ms)).to.equal(text)
    expect([50, 5_000, 90_000, 600_000, 36_000_000].map(axisDuration)).to.deep.equal([
      ...['50 ms', '5 s', '90 s', '10 min', '10 h'],
    ])
  })

  it('page texts: a time is told relative to now, in the past and in the future', () => {
    const now = 1_000_000_000
    const texts = [-90_000_000, -3_600_000, -61_000, -12_500, -400, 1_900, 8_000, 180_000].map((ms) =>
      relativeText(now + ms, now),
    )
    expect(texts).to.deep.equal(['1 d ago', '1 h ago', '1 min ago', '12 s ago', 'now', 'now', 'in 8 s', 'in 3 min'])
  })

  it('page texts: an exact time is local with its offset, and UTC', () => {
    const at = new Date('2026-12-01T11:05:09.042Z')
    const [local, utc] = exactText(at).split('\n')
    expect(utc).to.equal('2026-12-01 11:05:09.042 UTC')
    expect(local).to.match(/^\d{4}-\d{2}-\d{2} \d{2}:05:09\.042 [+-]\d{2}:\d{2}$/)
    expect(local?.startsWith(localText(at))).to.equal(true)
    expect(localText(at).endsWith(clockText(at))).to.equal(true)
    const [, hours, minutes] = /([+-]\d{2}):(\d{2})$/.exec(local ?? '') ?? []
    expect(Number(hours) * 60 + Number(minutes)).to.equal(-at.getTimezoneOffset())
  })

  it('page texts: control characters and those of direction are shown by their names', () => {
    expect(visibleText('a\u202eb\u0000\n\u009b\ufeff')).to.equal('aU+202EbU+0000U+000AU+009BU+FEFF')
    expect(piecesOf('a\u202eb')).to.deep.equal([
      { text: 'a', isHidden: false },
      { text: 'U+202E', isHidden: true },
      { text: 'b', isHidden: false },
    ])
    const harmless = ['', '<img src=x onerror=alert(1)>', 'Zürich – Привет – 你好 – שלום', '👩‍👩‍👧', 'U+202E']
    for (const text of harmless) expect(visibleText(text)).to.equal(text)
    expect(piecesOf('')).to.deep.equal([])
  })

  it('page texts: facts of a timeline are texts, and those without a value are left out', () => {
    expect(factTexts({ lease_until: 'x', count: 3, none: null, list: ['a'], gone: undefined })).to.deep.equal([
      { name: 'lease until', value: 'x' },
      { name: 'count', value: '3' },
      { name: 'list', value: '["a"]' },
    ])
  })
})
