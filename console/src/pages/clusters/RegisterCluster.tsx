import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { registerCluster, type NewOutsideCluster, type OutsideType } from "../../api/emr";
import { Confirm } from "../../components/Confirm";
import { useNotices } from "../../state/notices";

interface Props {
  onClose: () => void;
  onRegistered: () => void;
}

type Asks = "token" | "basic" | "none";

const ASKS: { value: Asks; label: string }[] = [
  { value: "token", label: "Token" },
  { value: "basic", label: "User name and password" },
  { value: "none", label: "None" },
];

interface Kind {
  value: OutsideType;
  label: string;
  description: string;
  example: string;
}

const GATEWAY: Kind = {
  value: "JUPYTER_GATEWAY",
  label: "Jupyter kernel gateway",
  description: "Kernels run there: those that it offers",
  example: "https://gateway.example.com/base",
};
const KINDS: Kind[] = [
  GATEWAY,
  {
    value: "SPARK_CONNECT",
    label: "Spark Connect",
    description: "Kernels run here (PySpark, SQL, Python), Spark there",
    example: "sc://spark.example.com:15002/;use_ssl=true",
  },
  {
    value: "LIVY",
    label: "Livy",
    description: "Each notebook is a Livy session (PySpark, Spark, SQL)",
    example: "https://livy.example.com:8998",
  },
];
const EMPTY: NewOutsideCluster = {
  type: "JUPYTER_GATEWAY",
  name: "",
  url: "",
  token: "",
  userName: "",
  password: "",
};
const kindOf = (type: OutsideType): Kind => KINDS.find((kind) => kind.value === type) ?? GATEWAY;
const WEB_URL = /^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/;
const CONNECT_URL = /^sc:\/\/[^\s/?#@;]+(\/?(;[^\s=;]+=[^\s=;]*)*;?)$/;

/** What is wrong with a URL of that kind; empty if nothing is. */
export function urlError(text: string, type: OutsideType): string {
  const wanted = type === "SPARK_CONNECT" ? CONNECT_URL : WEB_URL;
  return wanted.test(text) ? "" : `A URL like ${kindOf(type).example}, without credentials.`;
}

/** What one of that kind may ask for: Spark Connect knows no passwords. */
const asksOf = (type: OutsideType) => ASKS.filter((option) => type !== "SPARK_CONNECT" || option.value !== "basic");

/** Whether all that the form asks for is there. */
export function isComplete(cluster: NewOutsideCluster, asks: Asks): boolean {
  if (!cluster.name || urlError(cluster.url, cluster.type)) return false;
  if (asks === "token") return Boolean(cluster.token);
  return asks === "none" || Boolean(cluster.userName && cluster.password);
}

/** Make what runs elsewhere known as a cluster. */
export function RegisterCluster({ onClose, onRegistered }: Props) {
  const [form, setForm] = useState<NewOutsideCluster>(EMPTY);
  const [asks, setAsks] = useState<Asks>("token");
  const notices = useNotices();
  const set = (change: Partial<NewOutsideCluster>) => setForm((old) => ({ ...old, ...change }));
  const kind = kindOf(form.type);
  const asksFor = asksOf(form.type);
  const given: NewOutsideCluster = {
    type: form.type,
    name: form.name.trim(),
    url: form.url.trim(),
    token: asks === "token" ? form.token : "",
    userName: asks === "basic" ? form.userName : "",
    password: asks === "basic" ? form.password : "",
  };

  function choose(type: OutsideType): void {
    set({ type });
    if (!asksOf(type).some((option) => option.value === asks)) setAsks("token");
  }

  async function run(): Promise<void> {
    const { ClusterId } = await registerCluster(given);
    notices.success(`Cluster ${given.name} (${ClusterId}) is registered.`);
    onRegistered();
  }

  function field(label: string, member: Exclude<keyof NewOutsideCluster, "type">, secret = false) {
    return (
      <FormField label={label}>
        <Input
          type={secret ? "password" : "text"}
          autoComplete={false}
          value={form[member]}
          onChange={({ detail }) => set({ [member]: detail.value })}
        />
      </FormField>
    );
  }

  return (
    <Confirm
      title="Register a cluster from outside"
      action="Register cluster"
      run={run}
      onClose={onClose}
      disabled={!isComplete(given, asks)}
    >
      <SpaceBetween size="m">
        {field("Cluster name", "name")}
        <FormField label="What answers there">
          <Select
            options={KINDS}
            selectedOption={kind}
            onChange={({ detail }) => choose(detail.selectedOption.value as OutsideType)}
          />
        </FormField>
        <FormField
          label="URL"
          description="It runs elsewhere and is never started, changed or ended by EMR Studio."
          errorText={given.url ? urlError(given.url, given.type) : ""}
        >
          <Input
            value={form.url}
            placeholder={kind.example}
            onChange={({ detail }) => set({ url: detail.value })}
          />
        </FormField>
        <FormField label="It asks for">
          <Select
            options={asksFor}
            selectedOption={asksFor.find((option) => option.value === asks) ?? null}
            onChange={({ detail }) => setAsks(detail.selectedOption.value as Asks)}
          />
        </FormField>
        {asks === "token" ? field("Token", "token", true) : null}
        {asks === "basic" ? field("User name", "userName") : null}
        {asks === "basic" ? field("Password", "password", true) : null}
      </SpaceBetween>
    </Confirm>
  );
}
