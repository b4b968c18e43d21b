import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { registerCluster, type NewOutsideCluster } from "../../api/emr";
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

/** What is wrong with a gateway's URL; empty if nothing is. */
export function urlError(text: string): string {
  if (!/^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/.test(text)) return "A URL like https://gateway.example.com/base, without credentials.";
  return "";
}

/** Whether all that the form asks for is there. */
export function isComplete(cluster: NewOutsideCluster, asks: Asks): boolean {
  if (!cluster.name || urlError(cluster.url)) return false;
  if (asks === "token") return Boolean(cluster.token);
  return asks === "none" || Boolean(cluster.userName && cluster.password);
}

/** Make a Jupyter kernel gateway that runs elsewhere known as a cluster. */
export function RegisterCluster({ onClose, onRegistered }: Props) {
  const [form, setForm] = useState<NewOutsideCluster>({ name: "", url: "", token: "", userName: "", password: "" });
  const [asks, setAsks] = useState<Asks>("token");
  const notices = useNotices();
  const set = (change: Partial<NewOutsideCluster>) => setForm((old) => ({ ...old, ...change }));
  const given: NewOutsideCluster = {
    name: form.name.trim(),
    url: form.url.trim(),
    token: asks === "token" ? form.token : "",
    userName: asks === "basic" ? form.userName : "",
    password: asks === "basic" ? form.password : "",
  };

  async function run(): Promise<void> {
    const { ClusterId } = await registerCluster(given);
    notices.success(`Cluster ${given.name} (${ClusterId}) is registered.`);
    onRegistered();
  }

  function field(label: string, member: keyof NewOutsideCluster, secret = false) {
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
        <FormField
          label="URL of its Jupyter kernel gateway"
          description="It runs elsewhere and is never started, changed or ended by EMR Studio."
          errorText={given.url ? urlError(given.url) : ""}
        >
          <Input
            value={form.url}
            placeholder="https://gateway.example.com"
            onChange={({ detail }) => set({ url: detail.value })}
          />
        </FormField>
        <FormField label="It asks for">
          <Select
            options={ASKS}
            selectedOption={ASKS.find((option) => option.value === asks) ?? null}
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
