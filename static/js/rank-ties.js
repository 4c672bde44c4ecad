// Weak orders: groups of numbers from best to worst, [[2], [1, 3]] for 2 > 1 = 3. Pure functions; a leaf module.

export function readOrder(text) {
  if (!text || text === "all_bad") return [];
  return text.split(">").map((group) => group.split("=").map(Number));
}

export const writeOrder = (groups) => groups.map((group) => group.join("=")).join(">");

const without = (groups, number) => groups.map((group) => group.filter((each) => each !== number)).filter((group) => group.length);

export const takeOut = without;

export const placeLast = (groups, number) => [...without(groups, number), [number]];

/** Put a number at a place: into the group there ("tie"), or between the groups, before the one there ("before"). */
export function placeAt(groups, number, place, how) {
  const alone = groups.findIndex((group) => group.length === 1 && group[0] === number);
  const rest = without(groups, number);
  const shifted = alone >= 0 && alone < place ? place - 1 : place;
  if (how === "tie" && place === alone) return groups;
  if (how === "tie") return rest.map((group, n) => (n === shifted ? [...group, number] : group));
  return [...rest.slice(0, shifted), [number], ...rest.slice(shifted)];
}

/** Tie the last group with the one before; where its last one is tied, part it again. */
export function tieLast(groups) {
  const last = groups.at(-1) ?? [];
  if (last.length > 1) return [...groups.slice(0, -1), last.slice(0, -1), [last.at(-1)]];
  if (groups.length < 2) return groups;
  return [...groups.slice(0, -2), [...groups.at(-2), ...last]];
}

/** One step better (-1) or worse (1): out of a tie, or into the tie with the neighbour. */
export function nudge(groups, number, by) {
  const place = groups.findIndex((group) => group.includes(number));
  if (place < 0) return groups;
  if (groups[place].length > 1) return placeAt(groups, number, by < 0 ? place : place + 1, "before");
  const neighbour = place + by;
  return groups[neighbour] ? placeAt(groups, number, neighbour, "tie") : groups;
}

/** The place of a number in words: "2nd", "2nd =" in a tie; "" where it has none. */
export function placeWords(groups, number) {
  const at = groups.findIndex((group) => group.includes(number));
  if (at < 0) return "";
  const ending = at % 10 === 0 && at % 100 !== 10 ? "st" : at % 10 === 1 && at % 100 !== 11 ? "nd" : at % 10 === 2 && at % 100 !== 12 ? "rd" : "th";
  return `${at + 1}${ending}${groups[at].length > 1 ? " =" : ""}`;
}
