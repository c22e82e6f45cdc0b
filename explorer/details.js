// What is known of one field, in words.

/** Pairs of a term and what there is to say, read of an image. */
function detailsOf(reading, path) {
  const node = reading.node(path);
  const { field, type } = node;
  const pairs = [['Path', path]];
  if (node.error) pairs.push(['Cannot be read', visible(node.error)]);
  if (field && field.original) pairs.push(['In MS-VHDX', field.original]);
  if (type) pairs.push(['Type', type.id]);
  if (node.start !== null) {
    const length = node.end - node.start;
    pairs.push(['Place', `${hex(node.start)} to ${hex(node.end - 1)}, ${length} bytes`]);
  } else if (!node.error) {
    pairs.push(['Place', 'none: found or computed by the grammar']);
  }
  if (!node.error && node.kind !== 'nothing') pairs.push(['Value', summary(reading, node)]);
  const label = labelOf(node);
  if (label && (label.original || label.doc)) {
    pairs.push(['Meaning', [label.original, label.doc].filter(Boolean).join(': ')]);
  }
  const docs = [field && field.doc, type && type.doc].filter(Boolean);
  if (docs.length) pairs.push(['About', docs.join('\n\n')]);
  const reference = (field && field.reference) || (type && type.reference);
  if (reference) pairs.push(['See', reference]);
  return pairs;
}

function drawDetails(box, pairs) {
  box.replaceChildren();
  for (const [term, words] of pairs) {
    const name = document.createElement('dt');
    name.textContent = term;
    const text = document.createElement('dd');
    text.append(term === 'See' ? link(words) : words);
    box.append(name, text);
  }
}

/** A reference of the grammar: an address, and the section there. */
function link(reference) {
  const [address, ...section] = reference.split(' ');
  const anchor = document.createElement('a');
  anchor.href = address;
  anchor.rel = 'noreferrer';
  anchor.target = '_blank';
  anchor.textContent = section.join(' ') || address;
  return anchor;
}
