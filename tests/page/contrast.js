// The texts on the page whose contrast is below what WCAG 2.2 AA asks (1.4.3: 4.5), each with its ratio.
// Colours are read off a canvas, so that any notation is understood; of a pattern the worst of its colours counts.
(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, two) => {
    const [low, high] = [luminance(one), luminance(two)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const grounds = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      const pattern = style.backgroundSize.startsWith("auto") ? (style.backgroundImage.match(/(oklch|rgb)\([^)]*\)/g) ?? []) : [];
      if (pattern.length) return pattern.map(rgba);
      const colour = rgba(style.backgroundColor);
      if (colour[3] === 255) return [colour];
      if (colour[3] !== 0) return [[0, 0, 0]]; // a mixture: not expected here
    }
    return [[255, 255, 255]];
  };
  const found = new Set();
  const check = (element, text) => {
    const colour = rgba(getComputedStyle(element).color);
    const worst = Math.min(...grounds(element).map((ground) => ratio(colour, ground)));
    if (worst < 4.5) found.add(`${element.tagName}.${element.className} ${text}: ${worst.toFixed(2)}`);
  };
  for (const sign of document.querySelectorAll(".cpu b:empty")) check(sign, getComputedStyle(sign, "::before").content);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    check(element, texts.currentNode.data.trim());
  }
  return [...found];
})();
