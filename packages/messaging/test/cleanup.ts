const pending: (() => Promise<unknown>)[] = []

/** Has something undone by the next `cleanUp`, also when the test fails before its end. */
export function onCleanUp(undo: () => Promise<unknown>): void {
  pending.push(undo)
}

/** For `afterEach`. Last in, first out. */
export async function cleanUp(): Promise<void> {
  for (let undo = pending.pop(); undo; undo = pending.pop()) await undo()
}
