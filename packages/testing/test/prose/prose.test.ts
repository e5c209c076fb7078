import { expect } from 'chai'
import { paragraphsOf, sentencesOf, wordsOf } from '../../src/prose/document.ts'
import { commentsOf, titlesOf } from '../../src/prose/source.ts'
import { discouragedWords } from '../../src/prose/words.ts'

describe('check of prose', () => {
  it('reads the paragraphs, list items and table cells of a page, with code as one word', () => {
    const page =
      '# Title\n\nOne `npm run x`\nline.\n\n- An item. And more.\n\n```sh\nnot read\n```\n\n| a cell |\n| --- |\n| two |\n'
    expect(paragraphsOf(page)).to.deep.equal([
      { text: 'One code line.', line: 3, isCell: false },
      { text: 'An item. And more.', line: 6, isCell: false },
      { text: 'a cell', line: 12, isCell: true },
      { text: 'two', line: 14, isCell: true },
    ])
  })

  it('counts words, and splits sentences at their ends', () => {
    expect(sentencesOf('A relay publishes 1,000 messages. Then it waits!')).to.have.length(2)
    expect(wordsOf('the database’s 2 lanes – and more')).to.equal(6)
  })

  it('reads comments of each form, each tag of a docstring by itself', () => {
    const source = [
      '/**',
      ' * Reads a lane.',
      ' *',
      ' * @param lane from 0',
      ' */',
      "const url = 'http://x' // A comment at the end.",
      '// Two lines',
      '// are one comment.',
    ].join('\n')
    expect(commentsOf(source, 'a.ts')).to.deep.equal([
      { text: 'Reads a lane.', line: 1 },
      { text: 'lane from 0', line: 1 },
      { text: 'A comment at the end.', line: 6 },
      { text: 'Two lines are one comment.', line: 7 },
    ])
    expect(commentsOf('-- A reason.\nselect 1;', 'a.sql')).to.deep.equal([{ text: 'A reason.', line: 1 }])
  })

  it('reads the titles of tests', () => {
    expect(titlesOf("describe('relay', () => {\n  it(`reads a lane`, () => {})\n})")).to.deep.equal([
      { text: 'relay', line: 1 },
      { text: 'reads a lane', line: 2 },
    ])
  })

  it('finds words that hide the actor, and says what to write instead', () => {
    expect(discouragedWords('It waits for whoever comes.')).to.deep.equal([
      { word: 'whoever', instead: 'name the actor: producer, relay, worker, client, operator' },
    ])
    expect(discouragedWords('The relay mentions this. The theme is history.')).to.deep.equal([])
  })
})
