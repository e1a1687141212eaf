"""Logs in at `authorization_server.mjs` without a browser: `by_hand.py URL NAME` fills in its two forms, and prints the
address that the browser would go to then, which is not the authorization server's."""

import http.cookiejar
import sys
import urllib.error
import urllib.parse
import urllib.request

url, name = sys.argv[1:]
home = urllib.parse.urlsplit(url).netloc


class Stays(urllib.request.HTTPRedirectHandler):
    """Follows nobody away."""

    def redirect_request(self, request, *response):
        location = response[-1]
        if urllib.parse.urlsplit(location).netloc != home:
            print(location)
            sys.exit()
        return super().redirect_request(request, *response)


jar = http.cookiejar.CookieJar()
browser = urllib.request.build_opener(Stays, urllib.request.HTTPCookieProcessor(jar))
page = browser.open(url)
for fields in [{"prompt": "login", "login": name, "password": "any"}, {"prompt": "consent"}]:
    form = urllib.parse.urlencode(fields).encode()
    page = browser.open(page.url, form)
sys.exit(f"still at {page.url}: {page.read().decode()}")
