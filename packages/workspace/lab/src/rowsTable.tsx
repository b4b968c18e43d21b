/** Rows of an answer, as notebooks and the SQL editor show them. */
import * as React from "react";

interface Props {
  columns: readonly { name: string; kind?: string }[];
  rows: readonly (readonly unknown[])[];
  label: string;
  /** What stands where there is no value. */
  nothing: string;
}

export function RowsTable({ columns, rows, label, nothing }: Props) {
  return (
    <div className="emrs-rows" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map((column, index) => (
              <th key={index} scope="col" data-kind={column.kind}>
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {row.map((value, column) => (
                <td key={column} data-kind={columns[column]?.kind} className={value === null ? "emrs-quiet" : ""}>
                  {value === null ? nothing : String(value)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
