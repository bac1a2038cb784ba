import { paint, percent, swatch } from './drawing.js';

const at = (id) => document.getElementById(id);
const root = document.documentElement;

let about = null;      // what the server says of its model
let shown = null;      // the result on the page: name, stem, width, height, areas, labels
let highlighted = null; // index of the class that is looked at alone
let asking = null;     // stops the request that is under way

// ---- asking the server

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error('The server does not answer. Is it still running?');
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  throw new Error(answer.error ?? `The server answers ${response.status}.`);
}

async function segment(file) {
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  say('');
  try {
    if (about && file.size > about.most_bytes) {
      throw new Error(`The file is larger than ${Math.floor(about.most_bytes / 2 ** 20)} MB.`);
    }
    await file.slice(0, 1).arrayBuffer().catch(() => {
      throw new Error('It cannot be read. Is it a folder?');
    });
    root.classList.add('working');
    at('status').textContent = `Segmenting ${file.name} …`;
    const signal = mine.signal;
    const answer = await (await ask('segment', { method: 'POST', body: file, signal })).json();
    const bytes = await (await ask(`results/${answer.name}/labels.bin`, { signal })).arrayBuffer();
    const picture = await (await ask(`results/${answer.name}/picture.png`, { signal })).blob();
    await show({
      ...answer,
      stem: file.name.replace(/\.[^.]*$/, '') || 'picture',
      labels: answer.bytes_per_label === 1 ? new Uint8Array(bytes) : new Uint16Array(bytes),
    }, picture);
  } catch (error) {
    if (error.name !== 'AbortError') say(`${file.name}: ${error.message}`);
  } finally {
    if (asking === mine) {
      asking = null;
      root.classList.remove('working');
      at('status').textContent = shown ? summary(shown) : '';
    }
  }
}

async function save(button, path, fileName) {
  button.disabled = true;
  say('');
  try {
    const address = URL.createObjectURL(await (await ask(path)).blob());
    Object.assign(document.createElement('a'), { href: address, download: fileName }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  } catch (error) {
    say(error.message);
  } finally {
    button.disabled = false;
    button.focus();
  }
}

// ---- showing what it answers

async function show(result, blob) {
  const picture = at('picture');
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(blob);
  await picture.decode();
  shown = result;
  highlighted = null;
  // small pictures are enlarged by a whole number, as in the overlay that is saved
  const factor = Math.max(1, Math.ceil(480 / Math.max(result.width, result.height)));
  at('view').style.width = `min(${factor * result.width}px, 100%, ${80 * result.width / result.height}vh)`;
  at('view').classList.toggle('enlarged', factor > 1);
  picture.alt = result.stem;
  at('drop').hidden = true;
  at('view').hidden = at('panel').hidden = false;
  at('colors').setAttribute('aria-label', `Classes of ${result.stem}: ` + result.areas
    .map((area) => `${area.name} ${percent(area.share)}`).join(', '));
  listClasses(result.areas);
  repaint();
}

function repaint() {
  paint(at('colors'), shown, highlighted);
  at('colors').style.opacity = at('opacity').value / 100;
  at('opacity-value').textContent = `${at('opacity').value}%`;
}

function listClasses(areas) {
  at('legend').replaceChildren(...areas.map((area) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.title = 'Show this class alone';
    button.setAttribute('aria-pressed', 'false');
    const name = Object.assign(document.createElement('span'), { className: 'name', textContent: area.name });
    const share = Object.assign(document.createElement('span'), {
      className: 'share', textContent: percent(area.share),
    });
    button.append(swatch(area.color), name, share);
    button.addEventListener('click', () => {
      highlighted = highlighted === area.index ? null : area.index;
      for (const other of at('legend').querySelectorAll('button')) {
        other.setAttribute('aria-pressed', String(other === button && highlighted !== null));
      }
      repaint();
    });
    const item = document.createElement('li');
    item.append(button);
    return item;
  }));
}

function summary({ width, height, full_width: fullWidth, full_height: fullHeight, seconds }) {
  const reduced = width === fullWidth && height === fullHeight
    ? '' : ` (made smaller from ${fullWidth} × ${fullHeight})`;
  return `${width} × ${height} pixels${reduced}, ${seconds.toFixed(1)} s`;
}

function say(error) {
  at('error').textContent = error;
}

// ---- what the user does

function take(files) {
  if (files.length > 1) say('One picture at a time; this is the first.');
  if (files.length) segment(files[0]);
}

at('file').addEventListener('change', () => {
  take([...at('file').files]);
  at('file').value = ''; // so that the same file can be chosen again
});
let depth = 0; // of elements that the dragged file is over
addEventListener('dragenter', () => root.classList.toggle('dragging', ++depth > 0));
addEventListener('dragleave', () => root.classList.toggle('dragging', --depth > 0));
addEventListener('dragover', (event) => event.preventDefault());
addEventListener('drop', (event) => {
  event.preventDefault();
  depth = 0;
  root.classList.remove('dragging');
  if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  else say('That is no file. Save the picture first, then drop the file.');
});
addEventListener('paste', (event) => take([...event.clipboardData.files]));

at('opacity').addEventListener('input', repaint);
at('save-overlay').addEventListener('click', () => save(
  at('save-overlay'),
  `results/${shown.name}/overlay.png?opacity=${at('opacity').value / 100}`,
  `${shown.stem}_overlay.png`,
));
at('save-labels').addEventListener('click', () => save(
  at('save-labels'), `results/${shown.name}/labels.png`, `${shown.stem}_labels.png`,
));
at('view').addEventListener('pointermove', (event) => {
  const box = at('colors').getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left) / box.width * shown.width);
  const y = Math.floor((event.clientY - box.top) / box.height * shown.height);
  const index = shown.labels[y * shown.width + x];
  const area = shown.areas.find((each) => each.index === index);
  const inside = x >= 0 && x < shown.width && y >= 0 && y < shown.height && area;
  at('pointed').hidden = !inside;
  if (!inside) return;
  at('pointed').textContent = area.name;
  const left = event.clientX - box.left + 14;
  at('pointed').style.left = `${Math.min(left, box.width - at('pointed').offsetWidth)}px`;
  at('pointed').style.top = `${event.clientY - box.top + 14}px`;
});
at('view').addEventListener('pointerleave', () => { at('pointed').hidden = true; });

try {
  about = await (await ask('about')).json();
  document.title = `${about.model} – segment a picture`;
  at('model').textContent = `${about.model} of ${about.package} with ${about.checkpoint}, `
    + `${about.classes} classes, on ${about.device}`;
  at('limits').textContent = 'JPEG, PNG, WebP, TIFF and others, up to '
    + `${Math.floor(about.most_bytes / 2 ** 20)} MB; pasting works too. `
    + `If the longer side has more than ${about.longest_side} pixels, the picture is made smaller first.`;
} catch (error) {
  say(error.message);
}
