// Opens Swagger UI on this service's own document; the page /api/doc loads it.
"use strict";

window.addEventListener("load", () => {
  window.SwaggerUIBundle({
    url: "../openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    validatorUrl: null,
  });
});
