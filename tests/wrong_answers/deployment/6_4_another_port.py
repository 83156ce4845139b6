"""The server listens on one port, and the health check asks another."""

REFUSED_WITH = "listens on port 80"


def dockerfile():
    return """
FROM python:3.13-slim
WORKDIR /srv
RUN useradd --system --uid 10001 app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY app ./app
USER 10001
HEALTHCHECK --interval=10s --timeout=5s \\
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/live', timeout=3)"]
CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "80"]
"""
