/** Words that the project's English does without, each with what to write instead. */
const WORDS: readonly (readonly [word: RegExp, instead: string])[] = [
  [/\b(nobody|somebody|whoever|anybody)\b/i, 'name the actor: producer, relay, worker, client, operator'],
  [/\b(he|him|his)\b/, 'a process is no person: name it'],
  [/\bwhatever\b/i, 'say which, or leave it out'],
  [/\b(anew|for ever|thrice|meanwhile|in earnest)\b/i, 'again, forever, three times, or leave it out'],
  [/\bmend(s|ed|ing)?\b/i, 'fix, repair'],
  [/\bso many\b/i, "the parameter's name"],
  [/\b(?<!so )that long\b/i, 'the duration, or the name of its parameter'],
  [/\bwhat waits\b/i, 'name it: backlog, unpublished messages'],
  [/\bput(s|ting)? off\b/i, 'reschedule'],
  [/\b(give|gives|gave|given|giving) back\b/i, 'release'],
  [/\bcomes? to nothing\b/i, 'fail'],
  [/\bovertaken\b/i, 'lose the claim'],
  [/\bstruck\b/i, 'exceed the limit'],
  [/\bbeside\b/i, 'next to'],
  [/\bin hand\b/i, 'in flight'],
  [/\bweather\b/i, 'name the failure'],
  [/\bwithheld\b/i, 'not attempted'],
]

/** Returns the discouraged words in `text`, each with what to write instead. */
export function discouragedWords(text: string): { word: string; instead: string }[] {
  return WORDS.flatMap(([pattern, instead]) => {
    const word = pattern.exec(text)?.[0]
    return word === undefined ? [] : [{ word, instead }]
  })
}
