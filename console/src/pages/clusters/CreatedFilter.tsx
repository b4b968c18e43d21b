/** A range of creation times: the last hours or weeks, or between two moments. */
import DateRangePicker, { type DateRangePickerProps } from "@cloudscape-design/components/date-range-picker";
import { type CreatedRange, rangeError } from "./created";

const OPTIONS: DateRangePickerProps.RelativeOption[] = [
  { key: "hour", amount: 1, unit: "hour", type: "relative" },
  { key: "day", amount: 1, unit: "day", type: "relative" },
  { key: "week", amount: 1, unit: "week", type: "relative" },
  { key: "month", amount: 30, unit: "day", type: "relative" },
];

const units = (unit: string, value: number) => (value === 1 ? unit : `${unit}s`);
const last = ({ amount, unit }: DateRangePickerProps.RelativeValue) =>
  amount === 1 ? `Last ${unit}` : `Last ${amount} ${units(unit, amount)}`;

const WORDS: DateRangePickerProps.I18nStrings = {
  ariaLabel: "Filter by creation time",
  modeSelectionLabel: "Kind of range",
  relativeModeTitle: "Relative range",
  absoluteModeTitle: "Absolute range",
  relativeRangeSelectionHeading: "Created in the",
  formatRelativeRange: last,
  formatUnit: units,
  customRelativeRangeOptionLabel: "Custom range",
  customRelativeRangeOptionDescription: "So long back from now",
  customRelativeRangeDurationLabel: "Duration",
  customRelativeRangeDurationPlaceholder: "Enter a duration",
  customRelativeRangeUnitLabel: "Unit of time",
  startDateLabel: "Start date",
  startTimeLabel: "Start time",
  endDateLabel: "End date",
  endTimeLabel: "End time",
  dateTimeConstraintText: "Your local time, 24 hours.",
  errorIconAriaLabel: "Error",
  todayAriaLabel: "Today",
  nextMonthAriaLabel: "Next month",
  previousMonthAriaLabel: "Previous month",
  renderSelectedAbsoluteRangeAriaLive: (start, end) => `From ${start} to ${end}`,
  cancelButtonLabel: "Cancel",
  clearButtonLabel: "Clear",
  applyButtonLabel: "Apply",
};

export function CreatedFilter({ range, onChange }: { range: CreatedRange | null; onChange: (range: CreatedRange | null) => void }) {
  return (
    <DateRangePicker
      value={range}
      onChange={({ detail }) => onChange(detail.value)}
      relativeOptions={OPTIONS}
      isValidRange={(value) => {
        const errorMessage = rangeError(value);
        return errorMessage ? { valid: false, errorMessage } : { valid: true };
      }}
      i18nStrings={WORDS}
      placeholder="Created at any time"
    />
  );
}
