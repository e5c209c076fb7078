/** An id as a part of a path. */
export function named(id: string): string {
  // An empty id would be the list.
  if (id === '') throw new TypeError('the id is empty')
  return encodeURIComponent(id)
}
