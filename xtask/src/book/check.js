// What a person would mind on this page: a list of sentences, the page's links and its anchors.
((width, ground) => {
  const faults = [];
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

  // Width: nothing may reach beyond the screen, except in boxes that scroll by themselves. Elsewhere it is
  // cut off, or the page scrolls, or the box with all of the page does.
  const scrolls = (element) => element && (
    ["auto", "scroll"].includes(getComputedStyle(element).overflowX) && !element.querySelector("h1")
    || scrolls(element.parentElement));
  const root = document.documentElement;
  if (root instanceof HTMLElement) {
    const wide = [...document.querySelectorAll("body *")].filter(
      (element) => element.getBoundingClientRect().right > width + 1 && shown(element) && !scrolls(element));
    const names = wide.slice(0, 3).map((element) => element.outerHTML.slice(0, 60));
    const right = Math.max(root.scrollWidth, ...wide.map((element) => element.getBoundingClientRect().right));
    if (right > width) faults.push(`is ${Math.round(right)} pixels wide: ${names.join(" … ")}`);
  }
  for (const image of document.images) {
    if (!image.complete || image.naturalWidth === 0) faults.push(`a picture is missing: ${image.src}`);
  }

  // Contrast: WCAG 2.2, success criterion 1.4.3.
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (color) => {
    if (!known.has(color)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(color, [r, g, b, a / 255]);
    }
    return known.get(color);
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((value, i) => value * a + under[i] * (1 - a)).concat(1);
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  // The colour behind an element's text.
  const behind = (element) => {
    const layers = [];
    if (element instanceof SVGElement) {
      // In a picture, what lies under the middle of the text.
      const box = element.getBoundingClientRect();
      const stack = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2);
      for (const under of stack) {
        if (under.closest("text")) continue;
        const style = getComputedStyle(under);
        if (style.fill !== "none" && under instanceof SVGGeometryElement) layers.push(rgba(style.fill));
      }
    } else {
      for (let at = element; at; at = at.parentElement) {
        layers.push(rgba(getComputedStyle(at).backgroundColor));
      }
    }
    return layers.reverse().reduce((under, layer) => over(layer, under), rgba(ground));
  };
  const opacity = (element) => {
    let all = 1;
    for (let at = element; at; at = at.parentElement) all *= getComputedStyle(at).opacity;
    return all;
  };
  const pale = new Map();
  const walker = document.createTreeWalker(document.body ?? root, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const element = node.parentElement;
    const isText = node.data.trim() && !element.closest("title, desc, style, script, noscript");
    if (!isText || !shown(element)) continue;
    const style = getComputedStyle(element);
    const under = behind(element);
    const [r, g, b, a] = rgba(element instanceof SVGElement ? style.fill : style.color);
    const ratio = contrast(over([r, g, b, a * opacity(element)], under), under);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) {
      const where = `${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""}`;
      const text = node.data.trim().slice(0, 40);
      if (!pale.has(where)) pale.set(where, `${ratio.toFixed(2)}: ${where} "${text}"`);
    }
  }
  faults.push(...[...pale.values()].map((text) => `has a contrast of ${text}`));

  const links = [...document.querySelectorAll("a[href]")].map((link) => link.href);
  const anchors = [...document.querySelectorAll("[id]")].map((element) => element.id);
  return { faults, links, anchors };
})
