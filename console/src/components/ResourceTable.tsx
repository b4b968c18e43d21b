/** A table of resources: filter, sorting, pages, selection; loading, empty, no match, and error. */
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import Pagination from "@cloudscape-design/components/pagination";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useCollection } from "@cloudscape-design/collection-hooks";
import type { ReactNode } from "react";
import type { Polled } from "../state/polled";
import { ErrorBox } from "./ErrorBox";

interface Props<T> {
  /** Heading: "EMR on EC2 clusters". */
  title: string;
  /** What the rows are, within a sentence: "clusters". */
  noun: string;
  description?: string;
  polled: Polled<T[]>;
  columns: TableProps.ColumnDefinition<T>[];
  idOf: (item: T) => string;
  nameOf: (item: T) => string;
  /** The text that the filter searches. */
  textOf: (item: T) => string;
  sortedBy: { id: string; descending: boolean };
  /** Buttons of the heading, in order. */
  actions: ReactNode[];
  /** Beside the text filter. */
  filters?: ReactNode;
  /** Shown instead of all, before the text filter. */
  keep?: (item: T) => boolean;
  empty: { text: string; action?: ReactNode };
  selected?: T[];
  onSelect?: (items: T[]) => void;
  selectionType?: "single" | "multi";
}

const PAGE_SIZE = 25;

function Nothing({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Box textAlign="center" color="inherit" margin={{ vertical: "l" }}>
      <SpaceBetween size="s">
        <b>{title}</b>
        {children}
      </SpaceBetween>
    </Box>
  );
}

export function ResourceTable<T>(props: Props<T>) {
  const { title, noun, polled, columns, idOf, nameOf, textOf, keep, selected } = props;
  const items = (polled.data ?? []).filter(keep ?? (() => true));
  const sortingColumn = columns.find(({ id }) => id === props.sortedBy.id);
  const collection = useCollection<T>(items, {
    filtering: {
      filteringFunction: (item, text) => textOf(item).toLowerCase().includes(text.trim().toLowerCase()),
      empty: <Nothing title={props.empty.text}>{props.empty.action}</Nothing>,
      noMatch: <Nothing title="No matches" />,
    },
    pagination: { pageSize: PAGE_SIZE },
    sorting: sortingColumn?.sortingField || sortingColumn?.sortingComparator
      ? { defaultState: { sortingColumn, isDescending: props.sortedBy.descending } }
      : {},
  });
  // What is selected is remembered by id: the rows themselves are new with every answer.
  const chosen = selected ? new Set(selected.map(idOf)) : undefined;
  const counter = polled.data ? (chosen?.size ? `(${chosen.size}/${items.length})` : `(${items.length})`) : "";
  return (
    <SpaceBetween size="m">
      {polled.error && !polled.loading ? (
        <ErrorBox what={`${title} cannot be ${polled.data ? "refreshed" : "listed"}`} error={polled.error} retry={polled.refresh} />
      ) : null}
      <Table<T>
        {...collection.collectionProps}
        items={collection.items}
        columnDefinitions={columns}
        trackBy={idOf}
        variant="full-page"
        stickyHeader
        loading={polled.loading}
        loadingText={`Loading ${noun}`}
        header={
          <Header
            variant="awsui-h1-sticky"
            counter={counter}
            description={props.description}
            actions={
              <SpaceBetween size="xxs" direction="horizontal">
                <Button iconName="refresh" ariaLabel={`Refresh ${noun}`} onClick={() => void polled.refresh()} />
                {...props.actions}
              </SpaceBetween>
            }
          >
            {title}
          </Header>
        }
        filter={
          <div style={{ display: "flex", gap: 12, flexWrap: "wrap", alignItems: "start" }}>
            <div style={{ flex: "1 1 280px", maxWidth: 560 }}>
              <TextFilter
                {...collection.filterProps}
                filteringPlaceholder={`Find ${noun}`}
                filteringAriaLabel={`Find ${noun}`}
                filteringClearAriaLabel="Clear filter"
                countText={`${collection.filteredItemsCount ?? 0} ${collection.filteredItemsCount === 1 ? "match" : "matches"}`}
              />
            </div>
            {props.filters}
          </div>
        }
        pagination={
          collection.paginationProps.pagesCount > 1 ? (
            <Pagination
              {...collection.paginationProps}
              ariaLabels={{
                nextPageLabel: "Next page",
                previousPageLabel: "Previous page",
                pageLabel: (page) => `Page ${page}`,
              }}
            />
          ) : null
        }
        {...(props.onSelect && chosen
          ? {
              selectionType: props.selectionType ?? "multi",
              selectedItems: items.filter((item) => chosen.has(idOf(item))),
              onSelectionChange: ({ detail }) => props.onSelect?.(detail.selectedItems),
            }
          : {})}
        ariaLabels={{
          tableLabel: title,
          selectionGroupLabel: `Select ${noun}`,
          allItemsSelectionLabel: () => `Select all ${noun}`,
          itemSelectionLabel: (_, item) => `Select ${nameOf(item)}`,
        }}
      />
    </SpaceBetween>
  );
}
