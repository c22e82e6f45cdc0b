// -- the file --

const VERDICTS = {
  clean: "Clean",
  warnings: "Usable, with warnings",
  unusable: "Cannot be used",
  corrupt: "Corrupt: a rule refuses it",
  "not-vhdx": "Not a VHDX file",
};
const classOf = ({ verdict }) => ({ clean: "good", warnings: "warning" })[verdict] || "error";
function verdictOf({ verdict, findings }) {
  const isDirty = findings.some(({ rule }) => rule === "LOG-01");
  return verdict === "clean" && isDirty ? "Clean once its dirty log is replayed" : VERDICTS[verdict];
}
const yesOrNo = (is) => (is ? "yes" : "no");
const ruleOf = (rule) => (rule ? ` [${rule}]` : "");

function file() {
  begin("file", "File");
  const { info, error } = report;
  const facts = { path: report.path, length: full(report.file_size), ...(info && disk(info)), ...hashes() };
  facts["reported by"] = `${report.tool.name} ${report.tool.version}, ${report.created}`;
  list(
    "The file and its disk",
    Object.entries(facts).filter(([, value]) => value),
    {
      what: ([name]) => name,
      value: ([, value]) => value,
    }
  );
  if (error) say(`It does not open: ${error.message}${ruleOf(error.rule)}`, "error");
  if (info) structures(info);
}

const disk = (info) => ({
  type: info.disk_type,
  "virtual disk": full(info.virtual_disk_size),
  "identifier of the disk": info.virtual_disk_id,
  blocks: `${info.bat.payload_blocks} of ${human(info.block_size)}, chunk ratio ${info.bat.chunk_ratio}`,
  sectors: `${info.logical_sector_size} bytes logical, ${info.physical_sector_size} bytes physical`,
  "created by": info.creator ?? "(not stated)",
  damage: info.losses,
});

function hashes() {
  const found = {};
  if (!report.hashes) return found;
  for (const one of report.hashes.files)
    for (const [name, value] of Object.entries(one.hashes)) found[`${name} of ${one.path}`] = value;
  for (const [name, value] of Object.entries(report.hashes.disk || {})) found[`${name} of the virtual disk`] = value;
  if (report.hashes.error) found["hash of the virtual disk"] = `none: ${report.hashes.error.message}`;
  return found;
}

function structures(info) {
  const fields = {
    valid: (one) => (one.valid ? "yes" : one.reason),
    "sequence number": (one) => one.sequence_number,
    FileWriteGuid: (one) => one.file_write_guid,
    DataWriteGuid: (one) => one.data_write_guid,
    LogGuid: (one) => one.log_guid,
  };
  const copies = info.headers.map(({ copy }) => `header ${copy}${copy === info.current_header ? ", current" : ""}`);
  table(
    "Headers",
    ["field", ...copies],
    Object.entries(fields).map(([name, of]) => [name, ...info.headers.map(of)])
  );
  list("Regions", info.regions, {
    name: (one) => one.name || one.guid,
    offset: (one) => hex(one.file_offset),
    ">length": (one) => human(one.length),
    required: (one) => yesOrNo(one.required),
  });
  list("Metadata", info.metadata, {
    item: (one) => one.name || one.item_id,
    "offset in the region": (one) => hex(one.offset),
    ">length": (one) => human(one.length),
    required: (one) => yesOrNo(one.is_required),
  });
}

// -- findings --

function findings() {
  begin("findings", "Findings");
  report.checks.forEach((check, depth) => {
    if (report.checks.length > 1) add(node("h3", {}, `Level ${depth}: ${check.path}`));
    say(verdictOf(check), classOf(check));
    const sentences = check.diagnosis.map((sentence) => node("li", {}, sentence));
    if (sentences.length) add(node("ul", {}, sentences));
    for (const level of ["error", "warning", "note"])
      check.findings.forEach((found, number) => found.level === level && finding(depth, number, found));
    for (const [rule, more] of Object.entries(check.more)) say(`And ${more} more of ${rule}.`);
    if (!check.findings.length) say("No rule is broken.");
    list("Not checked", check.skipped, { what: ({ what }) => what, why: ({ why }) => why });
  });
}

function finding(depth, number, found) {
  const rule = report.rules.find(({ id }) => id === found.rule);
  const bytes = report.evidence.find((one) => one.depth === depth && one.finding === number);
  const level = node("span", { class: found.level }, found.level);
  const made = node("article", {}, node("h3", {}, level, ` ${found.rule}: ${found.where}`));
  const tell = (text, kind = "") => made.append(node("p", { class: kind }, text));
  tell(found.message);
  if (found.expected && found.actual) tell(`Found: ${found.actual}. Expected: ${found.expected}.`);
  if (rule) tell(`The rule [MS-VHDX ${found.section}]: ${rule.rule} Why: ${rule.why}`, "quiet");
  if (bytes) {
    tell(aboutBytes(bytes, found), "quiet");
    made.append(dump(bytes, found));
  }
  const text = printable(Object.values(found).join(" ")).toLowerCase();
  filters.push((wanted) => {
    made.hidden = !text.includes(wanted);
    return made.hidden ? 0 : 1;
  });
  add(made);
}

function aboutBytes({ fields, structure, is_replayed }, { offset, length }) {
  const first = length > 64 ? `, the first 64 of ${human(length)}` : "";
  const of = fields.length ? `field ${fields.join(", ")} of ` : "";
  const replayed = is_replayed ? ", as the replay of the log makes them" : "";
  return `Bytes at ${hex(offset)}${first}${structure ? `: ${of}${structure}` : ""}${replayed}`;
}

function dump({ offset, hex: digits }, finding) {
  const first = finding.offset - offset;
  const end = first + (finding.length || 1);
  const lines = node("pre", { tabindex: 0, "aria-label": "Bytes of the finding" });
  const pairs = digits.match(/../g);
  for (let at = 0; at < pairs.length; at += 16) {
    lines.append((offset + at).toString(16).padStart(10, "0"), " ");
    let text = "  ";
    for (let i = at; i < at + 16; i++) {
      const pair = pairs[i] || "  ";
      const code = parseInt(pair, 16);
      lines.append(" ", pairs[i] && i >= first && i < end ? node("mark", {}, pair) : pair);
      text += code > 31 && code < 127 ? String.fromCharCode(code) : pairs[i] ? "." : "";
    }
    lines.append(text, "\n");
  }
  return lines;
}

// -- layout and allocation --

const nothingKnown = () => say("Nothing is known of it; see what is left out.");

function layouts() {
  begin("layout", "Layout of the file");
  report.layouts.forEach((found, depth) => {
    const isAlone = report.layouts.length === 1;
    if (!isAlone) add(node("h3", {}, `Level ${depth}: ${report.checks[depth].path}`));
    if (!found || !found.file_size) return nothingKnown();
    layout(found, isAlone ? "" : ` at level ${depth}`);
    if (!depth && found.file_size !== report.file_size)
      say(`So it is after the replay of the log; as stored the file ends at ${hex(report.file_size)}.`);
  });
}

function layout(found, which) {
  const past = found.past_the_end.map(({ kind, number, end }) => {
    const what = `${nameOf(kind)} (${number}), up to ${hex(end)}`;
    const text = `Past the end of the file at ${hex(found.file_size)}, wholly or partly: ${what}.`;
    return { length: found.file_size / 20, kinds: [["past", 1]], text };
  });
  bar(`Layout of the file${which}, from its first byte to its last`, [...pieces(found), ...past]);
  const there = found.kinds.filter(({ bytes }) => bytes);
  const seen = [...there.map(({ kind }) => kind), ...(past.length ? ["past"] : [])];
  legend(seen.map((kind) => ({ color: COLORS[kind], text: nameOf(kind) })));
  say(aboutWidths(found), "quiet");
  for (const { text } of past) say(text, "error");
  list(`What the file${which} is made of`, there, {
    what: ({ kind }) => nameOf(kind),
    ">bytes": ({ bytes }) => full(bytes),
    ">share": ({ bytes }) => share(bytes, found.file_size),
  });
  list(`Parts of the file${which}, in order`, found.parts || [], {
    from: ({ start }) => hex(start),
    to: ({ start, length }) => endOf(start, length),
    ">size": ({ length }) => human(length),
    what: ({ kind }) => nameOf(kind),
    which: ({ name }) => name,
  });
}

function pieces(found) {
  if (found.parts)
    return found.parts.map(({ start, length, kind, name }) => ({
      length: Number(length),
      kinds: [[kind, 1]],
      text: `${name || nameOf(kind)}: ${place(start, length)}`,
    }));
  return spread(found, found.file_size).map(({ start, length, bytes }) => {
    const named = bytes.map(([number, amount]) => [found.kinds[number].kind, amount]);
    const told = named.map(([kind, amount]) => `${nameOf(kind)} ${human(amount)}`);
    const kinds = named.map(([kind, amount]) => [kind, Math.min(1, amount / length)]);
    return { length, kinds, text: `${place(start, length)}: ${told.join(", ")}` };
  });
}

function aboutWidths({ parts, cell_length, is_exact }) {
  if (parts) return "Widths are to scale, but nothing is too narrow to be seen.";
  const column = `each column stands for ${human(cell_length)} of the file, and shows how much of it is what.`;
  const claims = "What several blocks have counts for each of them, so nothing may refer to more than is shown.";
  return `There are too many parts to be shown one by one: ${column} ${is_exact ? "" : claims}`;
}

const READS = { data: "data", zero: "zeros", lost: "lost", parent: "of a parent that was not opened" };
const readsAs = ({ kind, rule }) => READS[kind] + ruleOf(rule);
function whatOf(kind) {
  const level = report.chain.chain.length > 1 ? `, level ${kind.depth}` : "";
  return `${words(kind.state)}${level}: ${readsAs(kind)}`;
}

function allocation() {
  begin("allocation", "Allocation of the disk");
  const found = report.allocation;
  if (!found) return say("The disk does not open.");
  const size = report.info.virtual_disk_size;
  const cells = spread(found, size).map((cell) => {
    const told = cell.bytes.map(([kind, bytes]) => `${whatOf(found.kinds[kind])} ${human(bytes)}`);
    return { ...cell, text: `${place(cell.start, cell.length)}: ${told.join("; ") || "not looked at"}` };
  });
  grid("Allocation of the disk, cell by cell", cells, found.kinds.map(colorOf));
  legend(found.kinds.map((kind) => ({ color: colorOf(kind), text: whatOf(kind) })));
  const each = `Each of ${counted(cells.length, "cell")} stands for ${human(found.cell_length)} of the disk`;
  say(`${each}, in rows from left to right.`, "quiet");
  list("What the disk is made of", found.kinds, {
    state: ({ state }) => words(state),
    ">level": ({ depth }) => depth,
    "reads as": readsAs,
    ">bytes": ({ bytes }) => full(bytes),
    ">share": ({ bytes }) => share(bytes, size),
  });
  if (!found.runs) say("It has too many runs for them to be listed.", "quiet");
  list("Runs of the disk, in order", found.runs || [], {
    from: ({ start }) => hex(start),
    to: ({ start, length }) => endOf(start, length),
    ">size": ({ length }) => human(length),
    what: ({ kind }) => whatOf(found.kinds[kind]),
  });
}

// -- the log --

function log() {
  begin("log", "Log");
  const found = report.log;
  if (!found) return nothingKnown();
  if (found.length === null) return say("The file has no log.");
  const [state, kind] = found.state === "dirty" ? ["Dirty", "warning"] : ["Clean", "good"];
  say(`${state}: ${human(found.length)} at ${hex(found.file_offset)}.`, kind);
  if (found.error) say(`It must not be replayed: ${found.error.message}${ruleOf(found.error.rule)}`, "error");
  if (found.entries.length) ring(found);
  else say("Nothing in it begins like an entry.");
  list("Sequences of entries", found.sequences, {
    from: (one) => one.first_sequence_number,
    to: (one) => one.last_sequence_number,
    ">entries": (one) => one.entries,
    tail: (one) => hex(one.tail),
    active: (one) => yesOrNo(one.active),
    "why not": (one) => one.reason,
  });
  list("Entries of the log, by place", found.entries, {
    offset: (entry) => hex(entry.offset),
    ">length": (entry) => hex(entry.length),
    "sequence number": (entry) => entry.sequence_number,
    tail: (entry) => hex(entry.tail),
    ">descriptors": (entry) => entry.descriptors,
    what: sortOf,
    why: (entry) => entry.reason,
  });
  if (found.replay) replay(found.replay);
}

function replay({ changed_bytes, file_size, changes }) {
  say(`Replay changes ${full(changed_bytes)} of the file, which is ${full(file_size)} long then.`);
  const parts = report.layouts[0]?.parts || [];
  const within = (offset) => parts.find(({ start, length }) => start <= offset && offset < start + length);
  list("What replay changes", changes, {
    from: (change) => hex(change.file_offset),
    to: (change) => endOf(change.file_offset, change.length),
    with: ({ kind }) => (kind === "zero" ? "zeros" : "data"),
    "sequence number": (change) => change.sequence_number,
    "of what": (change) => {
      const part = within(change.file_offset);
      return part && (part.name || nameOf(part.kind));
    },
  });
}

// -- the chain, what is on the disk, and what is missing here --

function chain() {
  begin("chain", "Chain");
  const found = report.chain;
  if (!found) return say("The disk does not open.");
  const images = found.chain.map((image) => {
    const blocks = `${human(image.virtual_disk_size)} in blocks of ${human(image.block_size)}`;
    const about = `${image.disk_type}, ${blocks}, ${image.log} log, DataWriteGuid ${image.data_write_guid}`;
    const name = node("strong", {}, `Level ${image.depth}: ${image.path || "(in memory)"}`);
    return node("li", {}, name, node("p", {}, about), image.depth ? linkage(image) : []);
  });
  if (found.missing) images.push(missing(found.missing));
  add(node("ol", { class: "chain" }, images));
  list("Parent locator", Object.entries(report.info.parent?.entries || {}), {
    key: ([key]) => key,
    value: ([, value]) => value,
  });
}

function linkage({ found_by, matched_by }) {
  const way = found_by ? `found by ${found_by}` : "named by the caller";
  const match = matched_by ? `matches ${matched_by} of its child` : "does not match its child";
  return node("p", { class: matched_by ? "good" : "error" }, `${way}, ${match}`);
}

function missing({ depth, data_write_guids, error }) {
  const name = node("strong", { class: "error" }, `Level ${depth}: missing`);
  const wanted = node("p", {}, `wanted: DataWriteGuid ${data_write_guids.join(" or ")}`);
  return node("li", { class: "missing" }, name, wanted, node("p", {}, error.message));
}

function files() {
  begin("files", "Partitions and file systems");
  const found = report.files;
  if (!found) return nothingKnown();
  const doubt = found.doubt ? ` (${found.doubt})` : "";
  say(found.partition_table ? `Partition table: ${found.partition_table}${doubt}` : "No partition table.");
  const system = (of) => (one) => one.file_system && of(one.file_system);
  list("Volumes", found.volumes, {
    ">partition": ({ partition }) => (partition === 0 ? "whole disk" : (partition ?? "-")),
    from: (one) => hex(one.offset),
    ">size": (one) => human(one.length),
    type: (one) => one.type,
    name: (one) => one.name,
    holds: (one) => one.file_system?.kind || one.content || "not known here",
    label: system(({ label }) => label),
    ">used": system(({ used }) => (used === null ? "" : human(used))),
    ">free": system(({ free }) => (free === null ? "" : human(free))),
    remark: (one) => one.error || one.file_system?.doubt,
  });
}

function rest() {
  begin("rest", "Assumed or left out");
  list("Assumed", report.assumed, {
    what: ({ what }) => what,
    file: ({ path }) => path,
    how: ({ message }) => message,
  });
  list("Left out", report.left_out, { what: ({ what }) => what, why: ({ why }) => why });
  if (!report.assumed.length && !report.left_out.length) say("Nothing.");
}

const [own] = report.checks;
document.getElementById("title").textContent = printable(report.path);
document.getElementById("summary").append(node("span", { class: classOf(own) }, verdictOf(own)), ". ");
document.getElementById("summary").append(printable(own.diagnosis[0] || ""));
for (const part of [file, findings, layouts, allocation, log, chain, files, rest]) part();
document.getElementById("footer").textContent = `${report.tool.name} ${report.tool.version}, ${report.created}`;
document.getElementById("find").addEventListener("input", search);
