import { expect } from 'chai'
import { commandsOf } from '../src/index.ts'

describe('documented commands', () => {
  const page = `
Run \`npm run dead -- list\`, or see \`npm run dead\`.

\`\`\`sh
npm run -s cashflow -- pause worker --for 30m --reason 'it # moves'   # a comment
docker compose run --rm migrate settle 17 \\
  --success --reason "the bank's"
key=$(npm run -s cashflow -- keys create --json | cut -d '"' -f 8)
cashflow dead list > letters; echo done
npm run migrate -- --mode live
\`\`\`

\`cashflow status\` prints:

\`\`\`
payments  1
\`\`\`
`
  it('commandsOf finds the commands of cashflow in blocks and in sentences, with their lines, their words and the output behind them', () => {
    expect(commandsOf(page, 'page.md')).to.deep.equal([
      { place: 'page.md:2', args: ['dead', 'list'] },
      { place: 'page.md:5', args: ['pause', 'worker', '--for', '30m', '--reason', 'it # moves'] },
      { place: 'page.md:6', args: ['settle', '17', '--success', '--reason', "the bank's"] },
      { place: 'page.md:8', args: ['keys', 'create', '--json'] },
      { place: 'page.md:9', args: ['dead', 'list'] },
      { place: 'page.md:13', args: ['status'], output: 'payments  1' },
    ])
  })
})
