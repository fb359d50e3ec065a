/** Metrics that an expression of Prometheus names, each with the labels that it selects by. */
export function selectorsIn(expression: string): { name: string; labels: string[] }[] {
  return [...expression.matchAll(/\b((?:walhook|nodejs|process)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name, selector = '']) => ({
      name: name!,
      labels: [...selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label!),
    }),
  )
}

/** Labels by which an expression groups or joins. */
export function groupsIn(expression: string): string[] {
  return [...expression.matchAll(/\b(?:by|on|without|ignoring) \(([^)]*)\)/g)].flatMap(([, labels]) =>
    labels!.split(',').map(label => label.trim()),
  )
}

/** Every series name of an exposition, with its labels. https://prometheus.io/docs/instrumenting/exposition_formats/ */
export function seriesOf(exposition: string): Map<string, Set<string>> {
  const series = new Map<string, Set<string>>()
  for (const line of exposition.split('\n')) {
    const [, name, text = ''] = /^([a-z]\w*)(?:\{(.*)\})? \S+$/.exec(line) ?? []
    if (name === undefined) continue
    const labels = series.get(name) ?? series.set(name, new Set()).get(name)!
    for (const [, label] of text.matchAll(/(\w+)="/g)) labels.add(label!)
  }
  return series
}
