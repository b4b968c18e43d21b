import "./base.css";
import "./results.css";
import "./sql.css";
