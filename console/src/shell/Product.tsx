import icon from "../icon.svg";

/** The product's mark and name. */
export function Product() {
  return (
    <span style={{ display: "inline-flex", alignItems: "center", gap: 10, fontSize: 20, fontWeight: 700 }}>
      <img src={icon} alt="" width={32} height={32} />
      Open EMR Studio
    </span>
  );
}
