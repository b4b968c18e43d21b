/** The frame of both faces: top bar, side navigation, notices, and the page. */
import AppLayout from "@cloudscape-design/components/app-layout";
import SideNavigation, { type SideNavigationProps } from "@cloudscape-design/components/side-navigation";
import Spinner from "@cloudscape-design/components/spinner";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import { Suspense, useEffect, useState, type ReactNode } from "react";
import icon from "../icon.svg";
import { useAccount } from "../state/account";
import { NoticesBar } from "../state/notices";
import { chooseTheme, themeChoice, type ThemeChoice } from "../theme";

interface Props {
  title: string;
  items: SideNavigationProps.Item[];
  activeHref: string;
  pageTitle: string;
  breadcrumbs?: ReactNode;
  children: ReactNode;
}

const THEMES: { id: ThemeChoice; text: string }[] = [
  { id: "system", text: "As the system" },
  { id: "light", text: "Light" },
  { id: "dark", text: "Dark" },
];

export function Shell({ title, items, activeHref, pageTitle, breadcrumbs, children }: Props) {
  const { session, signOut } = useAccount();
  const [navigationOpen, setNavigationOpen] = useState(window.innerWidth > 900);
  const [theme, setTheme] = useState(themeChoice);
  useEffect(() => {
    document.title = `${pageTitle} – ${title}`;
  }, [pageTitle, title]);

  return (
    <>
      <div id="top-bar" style={{ position: "sticky", top: 0, zIndex: 1002 }}>
        <TopNavigation
          identity={{ href: "#/", title: "Open EMR Studio", logo: { src: icon, alt: "" } }}
          utilities={[
            { type: "button", text: session.region, iconName: "globe", ariaLabel: `Region ${session.region}`, disableUtilityCollapse: true },
            {
              type: "menu-dropdown",
              iconName: "settings",
              ariaLabel: "Appearance",
              title: "Appearance",
              items: THEMES.map(({ id, text }) => ({
                id,
                text,
                itemType: "checkbox",
                checked: theme === id,
              })),
              onItemClick: ({ detail }) => {
                const chosen = THEMES.find(({ id }) => id === detail.id)?.id ?? "system";
                chooseTheme(chosen);
                setTheme(chosen);
              },
            },
            {
              type: "menu-dropdown",
              text: session.userName,
              description: `Account ${session.accountId}`,
              iconName: "user-profile",
              items: [
                { id: "arn", text: session.arn, disabled: true },
                { id: "sign-out", text: "Sign out" },
              ],
              onItemClick: ({ detail }) => {
                if (detail.id === "sign-out") signOut();
              },
            },
          ]}
          i18nStrings={{ overflowMenuTriggerText: "More", overflowMenuTitleText: "All" }}
        />
      </div>
      <AppLayout
        headerSelector="#top-bar"
        navigationOpen={navigationOpen}
        onNavigationChange={({ detail }) => setNavigationOpen(detail.open)}
        navigation={<SideNavigation header={{ text: title, href: "#/" }} activeHref={activeHref} items={items} />}
        notifications={<NoticesBar />}
        stickyNotifications
        breadcrumbs={breadcrumbs}
        toolsHide
        content={<Suspense fallback={<Spinner size="large" />}>{children}</Suspense>}
        ariaLabels={{
          navigation: "Navigation",
          navigationClose: "Close navigation",
          navigationToggle: "Open navigation",
          notifications: "Notifications",
        }}
      />
    </>
  );
}
