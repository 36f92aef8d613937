// Tells the server in which time zone this browser is, so that pages show the times of their reader.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && sessionStorage.getItem("zone") !== zone) {
  fetch("/zone", { method: "POST", body: new URLSearchParams({ zone }), keepalive: true })
    .then(() => sessionStorage.setItem("zone", zone)).catch(() => { /* the next page tells it */ });
}
