// Paints every pixel in the colour of its class; of one class alone, if it is not null.
export function paint(canvas, { width, height, labels, areas }, alone) {
  // one 32-bit number for a pixel, red in the lowest byte on every machine that browsers run on
  const colors = new Uint32Array(1 + Math.max(...areas.map((area) => area.index)));
  for (const { index, color } of areas) {
    const rgb = parseInt(color.slice(1), 16);
    const [red, green, blue] = [rgb >> 16, (rgb >> 8) & 255, rgb & 255];
    if (alone === null || alone === index) colors[index] = (255 << 24) | (blue << 16) | (green << 8) | red;
  }
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = colors[labels[i]];
  context.putImageData(image, 0, 0);
}

// A small area of a colour. The page forbids style attributes, but not those of SVG.
export function swatch(color) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('aria-hidden', 'true');
  const area = document.createElementNS(space, 'rect');
  for (const [name, value] of Object.entries({ width: '100%', height: '100%', fill: color })) {
    area.setAttribute(name, value);
  }
  svg.append(area);
  return svg;
}

// A share, 0 to 1, as the legend of a saved overlay has it.
export const percent = (share) => (share >= 0.0005 ? `${(100 * share).toFixed(1)}%` : '<0.1%');
