"use strict";
// A file of its own: the pages' content security policy allows no inline script.
const api = document.getElementById("api");
SwaggerUIBundle({ url: api.dataset.document, domNode: api, deepLinking: true, validatorUrl: null });
