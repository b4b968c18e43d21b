/** The panels' icons: strokes of the theme's own colour. */
import { LabIcon } from "@jupyterlab/ui-components";

function icon(name: string, paths: string): LabIcon {
  const svgstr =
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3 emrs-icon" fill="none" ' +
    `stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">${paths}</g></svg>`;
  return new LabIcon({ name: `emr-studio:${name}`, svgstr });
}

export const computeIcon = icon(
  "compute",
  '<rect x="4" y="4" width="16" height="6" rx="1.5"/><rect x="4" y="14" width="16" height="6" rx="1.5"/>' +
    '<path d="M8 7h.01M8 17h.01M12 10v4"/>',
);
export const collaborationIcon = icon(
  "collaboration",
  '<circle cx="9" cy="8" r="3.2"/><path d="M3.5 19c.4-3.4 2.600-5 5.500-5s5.100 1.600 5.500 5"/>' +
    '<path d="M16 5.200a3 3 0 0 1 0 5.600M17.500 14.400c1.800.7 2.800 2.300 3 4.600"/>',
);
export const backupIcon = icon(
  "backup",
  '<path d="M7 18a4 4 0 0 1-.5-7.970A5.500 5.500 0 0 1 17.200 9.500 4.200 4.200 0 0 1 17 18"/><path d="M12 20v-7M9.500 15l2.500-2.500 2.500 2.500"/>',
);
export const examplesIcon = icon(
  "examples",
  '<path d="M5 4h11l3 3v13H5z"/><path d="M15 4v4h4M8.500 12h7M8.500 16h5"/>',
);
export const sqlIcon = icon(
  "sql",
  '<ellipse cx="12" cy="6" rx="7" ry="2.600"/><path d="M5 6v12c0 1.400 3.100 2.600 7 2.600s7-1.200 7-2.600V6"/>' +
    '<path d="M5 12c0 1.400 3.100 2.600 7 2.600s7-1.200 7-2.600"/>',
);
export const repositoriesIcon = icon(
  "repositories",
  '<path d="M6 4h12v16H8a2 2 0 0 1-2-2z"/><path d="M6 18a2 2 0 0 1 2-2h10M10 8v4M14 8v1.500a2 2 0 0 1-2 2h-2"/>',
);
