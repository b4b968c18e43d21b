/** Light or dark: the browser's preference, unless the person chose. */
import { applyMode, Mode } from "@cloudscape-design/global-styles";

export type ThemeChoice = "system" | "light" | "dark";
const KEY = "emr-studio-theme";
const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

export function themeChoice(): ThemeChoice {
  const stored = localStorage.getItem(KEY);
  return stored === "light" || stored === "dark" ? stored : "system";
}

function apply(): void {
  const choice = themeChoice();
  const dark = choice === "system" ? prefersDark.matches : choice === "dark";
  applyMode(dark ? Mode.Dark : Mode.Light);
}

export function chooseTheme(choice: ThemeChoice): void {
  localStorage.setItem(KEY, choice);
  apply();
}

export function startTheme(): void {
  prefersDark.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  apply();
}
